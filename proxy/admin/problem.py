"""What the admin side refuses beside the common errors, and the one place that answers with it (RFC 9457)."""

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from proxy.errors import Forbidden, MethodNotAllowed, NoRoute, NotNow, ProxyError, Unprocessable


class NotReady(NotNow):
    code, title = "not_ready", "The bridge should not be sent requests now"


class BadConfiguration(Unprocessable):
    code, title = "bad_configuration", "The configuration file has mistakes; nothing was changed"


class NoGroup(ProxyError):
    status, code, title = 404, "no_group", "No route reads for this group"


class NoDeadLetters(ProxyError):
    status, code, title = 404, "no_dead_letters", "The group has no dead letters"


class NotMoved(NotNow):
    """`extra` says of each partition why."""

    code, title = "not_moved", "The group was not moved"


class ForeignOrigin(Forbidden):
    """A browser sent this on behalf of a page that is not ours."""

    code, title = "foreign_origin", "Another site may not do this"


def problem(error: ProxyError) -> Response:
    document = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        **error.extra,
    }
    headers = {name.decode(): value.decode() for name, value in error.headers}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    body = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    return Response(body, error.status, headers, "application/problem+json")


async def refused(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, ProxyError)
    return problem(exc)


async def not_served(_: Request, exc: Exception) -> Response:
    """Starlette's own 404 and 405."""
    assert isinstance(exc, HTTPException)
    if exc.status_code == 405:
        allow = (exc.headers or {}).get("Allow", "")
        return problem(MethodNotAllowed(f"Use {allow} here.", headers=[(b"allow", allow.encode())]))
    return problem(NoRoute("The admin side has no such path; GET / lists what there is."))


async def failed(_: Request, exc: Exception) -> Response:
    """A mistake of ours. uvicorn logs the traceback."""
    return problem(ProxyError("The bridge's log has the traceback."))
