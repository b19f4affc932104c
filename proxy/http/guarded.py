"""An endpoint behind its door: who is not known gets 401, who may not 403, before anything else is done."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from proxy.errors import ProxyError, RightMissing, Unauthenticated
from proxy.http.dispatch import Handler
from proxy.http.end import End
from proxy.http.entrance import Entrance
from proxy.http.exchange import Exchange, Headers
from proxy.http.interrupt import Interrupt
from proxy.http.right import Right
from proxy.observe.audit import NOBODY, Denials
from proxy.routes.request import Request

AUTHORIZATION = b"authorization"
GRACE_S = 30.0  # for requests that were under way


class GuardedEndpoint:
    """Lets those in who may. What only the body tells is judged where bodies are read (`BodyRight`)."""

    def __init__(
        self, inner: Handler, entrance: Entrance, right: Right, denials: Denials, route: str, challenges: Headers
    ) -> None:
        """`challenges`: WWW-Authenticate, for each scheme that the route takes."""
        self._inner = inner
        self._entrance = entrance
        self._right = None if right.reads_body else right
        self._denials = denials
        self._route = route
        self._challenges = challenges

    def __repr__(self) -> str:
        return f"<GuardedEndpoint {self._route}>"

    async def __call__(self, exchange: Exchange) -> None:
        try:
            exchange.admission = admission = await self._entrance.admit(exchange)
            if self._right is not None:
                self._right.check(admission.principal, exchange.request())
        except Unauthenticated as error:
            error.headers = [*error.headers, *self._challenges]
            self._note(exchange, error)
            raise
        except RightMissing as error:
            self._entrance.forbade(admission.principal)
            self._note(exchange, error)
            raise
        await self._inner(exchange)

    def _note(self, exchange: Exchange, error: ProxyError) -> None:
        principal = exchange.principal
        self._denials.denied(
            by=principal.id if principal else NOBODY,
            route=self._route,
            code=error.code,
            client=exchange.client_address or NOBODY,
            request_id=exchange.request_id,
            why=getattr(error, "why", "") or error.title,
        )


class BodyRight:
    """The right of a route whose right the body is part of. For each record, so for each of a batch."""

    def __init__(self, right: Right, entrance: Entrance, denials: Denials, route: str) -> None:
        self._right = right
        self._entrance = entrance
        self._denials = denials
        self._route = route
        self.placeholders = right.placeholders

    def __call__(self, request: Request) -> None:
        """Raises RightMissing, and what the body lacks for the right to be made out."""
        principal = request.principal
        try:
            if principal is None:
                raise RightMissing("Nobody was let in.")
            self._right.check(principal, request)
        except RightMissing as error:
            if principal is not None:
                self._entrance.forbade(principal)
            self._denials.denied(by=principal.id if principal else NOBODY, route=self._route, code=error.code)
            raise


class CutOff:
    """An endpoint whose answers may last: they are broken off `grace_s` after their caller is not let in any more.

    What was asked before is answered; only what goes on and on, such as a stream of the old service's, comes to that.
    """

    def __init__(self, inner: Handler, grace_s: float = GRACE_S) -> None:
        self._inner = inner
        self._grace_s = grace_s

    async def __call__(self, exchange: Exchange) -> None:
        ended = End()
        with Interrupt(exchange, ended) as interrupt, self._watching(exchange, ended):
            await self._inner(exchange)
        if interrupt.reason is not None:
            if not exchange.status:
                exchange.still_admitted()
            exchange.connection.abort()

    @contextmanager
    def _watching(self, exchange: Exchange, ended: End) -> Iterator[None]:
        """Set `ended` a while after the caller's standing has, or its time."""
        admission, later = exchange.admission, asyncio.get_running_loop().call_later
        assert admission is not None, "it stands behind a door"
        timers: list[asyncio.TimerHandle] = []

        def revoked(_: object) -> None:
            timers.append(later(self._grace_s, ended.set_result, "revoked"))

        left_s = admission.left_s()
        if left_s is not None:
            timers.append(later(left_s + self._grace_s, ended.set_result, "expired"))
        admission.standing.add_done_callback(revoked)
        try:
            yield
        finally:
            admission.standing.remove_done_callback(revoked)
            for timer in timers:
                timer.cancel()


class Stripped:
    """An endpoint that does not see the credentials: they are for the bridge, not for what is behind it."""

    def __init__(self, inner: Handler, entrance: Entrance) -> None:
        self._inner = inner
        self._entrance = entrance

    async def __call__(self, exchange: Exchange) -> None:
        hidden = (AUTHORIZATION, self._entrance.key_header)
        exchange.replace_headers([header for header in exchange.headers if header[0] not in hidden])
        await self._inner(exchange)


def challenges(schemes: Sequence[str], key_header: str) -> Headers:
    """WWW-Authenticate for each (RFC 9110, 11.6.1). A certificate has none of its own, and yet there must be one."""
    found = {
        "key": b'ApiKey realm="stepbridge", header="%b"' % key_header.encode(),
        "basic": b'Basic realm="stepbridge", charset="UTF-8"',
        "certificate": b'Certificate realm="stepbridge"',
    }
    said = dict.fromkeys(found.get(scheme, b'Bearer realm="stepbridge"') for scheme in schemes)
    return [(b"www-authenticate", each) for each in said]
