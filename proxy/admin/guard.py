"""What holds for every request to the admin side, before it is routed."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.admin.problem import ForeignOrigin, problem
from proxy.errors import ProxyError, TooLarge

BODY_LIMIT_BYTES = 1_024  # no endpoint reads a body; some clients send an empty or tiny one with a POST

HEADERS = {  # of every answer; a page that has a style says so in a policy of its own
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Refuses bodies and requests of other sites' pages; keeps answers out of caches, frames and guesses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = _refusal(scope["method"], Headers(scope=scope))
        app = problem(refusal) if refusal else self._app
        await app(scope, receive, send_guarded)


def _refusal(method: str, headers: Headers) -> ProxyError | None:
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not length.isdecimal() or int(length) > BODY_LIMIT_BYTES:
        return TooLarge("The admin side takes no body; send the request without one.")
    if method not in ("GET", "HEAD") and _is_foreign(headers):
        return ForeignOrigin(
            "The request came from another site's page; use the command line, or the admin's own page."
        )
    return None


def _is_foreign(headers: Headers) -> bool:
    """A browser names the page's origin in every POST; the admin's own page has the host it is reached under."""
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")
