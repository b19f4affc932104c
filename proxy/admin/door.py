"""The door of the admin side: who comes in, and one audit line for each thing done there.

A supervisor's admin side asks who operators are, and hands on to its workers what came of it, in a header of our own;
theirs is a Unix socket that nobody else reaches, so they take its word. No credential goes further than the door.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.admin.operators import KEY_HEADER, Operators
from proxy.admin.problem import problem
from proxy.config.callers import AdminAuth
from proxy.config.model import Config
from proxy.errors import ProxyError
from proxy.observe.audit import NOBODY, Denials, audit

OPERATOR = "stepbridge.operator"  # in the scope
_HEADER = b"stepbridge-operator"
_HIDDEN = (b"authorization", KEY_HEADER, _HEADER)
_HEALTH = ("/healthz", "/readyz")


def operator_of(request: Request) -> str:
    """The id of whoever asks, for audit lines: key:ops; "-" where operators are not told apart."""
    name: str = request.scope.get(OPERATOR, NOBODY)
    return name


class Door:
    """Lets operators in. `is_private`: whoever gets here was let in by the supervisor."""

    def __init__(self, app: ASGIApp, config: Callable[[], Config], is_private: bool = False) -> None:
        self._app = app
        self._config = config
        self._is_private = is_private
        self._operators: Operators | None = None
        self._denials = Denials()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            name = _told(scope) if self._is_private else await self._admit(scope)
        except ProxyError as error:
            client = scope.get("client")
            where = client[0] if client else NOBODY
            self._denials.denied(by=NOBODY, route="(admin)", code=error.code, client=where, path=scope["path"])
            await problem(error)(scope, receive, send)
            return
        scope[OPERATOR] = name
        kept = [header for header in scope["headers"] if header[0] not in _HIDDEN]
        scope["headers"] = [*kept, (_HEADER, name.encode())]
        is_action = scope["method"] not in ("GET", "HEAD", "OPTIONS") and not self._is_private
        await self._app(scope, receive, _noting(scope, send) if is_action else send)

    async def _admit(self, scope: Scope) -> str:
        auth = self._config().admin.auth
        if auth is None:
            return NOBODY
        if self._operators is None or self._operators.auth != auth:
            self._operators = Operators(auth)
        if _is_open(scope, auth):
            return NOBODY
        return (await self._operators.admit(scope["headers"])).id


def _is_open(scope: Scope, auth: AdminAuth) -> bool:
    """Readiness with its reasons names topics: that is for operators."""
    path, is_plain = scope["path"], not scope["query_string"]
    return (path in _HEALTH and is_plain and "health" in auth.open) or (path == "/metrics" and "metrics" in auth.open)


def _told(scope: Scope) -> str:
    found: bytes = dict(scope["headers"]).get(_HEADER, NOBODY.encode())
    return found.decode()


def _noting(scope: Scope, send: Send) -> Send:
    """Write down what was asked, and what became of it."""

    async def send_noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            query = scope["query_string"].decode("latin-1")
            asked = {"method": scope["method"], "path": scope["path"], "query": query}
            audit("admin_action", by=scope[OPERATOR], **asked, status=message["status"])
        await send(message)

    return send_noted
