"""An endpoint behind its rates: beyond them 429, before a body is read.

Each answer says how things stand, in the fields of draft-ietf-httpapi-ratelimit-headers. There `q` and `w` are the rate
as it is configured; `r` is what may come at once now, and `t` when the burst is there again, or, if `r` is 0, when the
next request may come.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import ceil

from proxy.clock import now_s
from proxy.errors import FieldMissing, RateLimited
from proxy.http.dispatch import Handler
from proxy.http.exchange import Exchange
from proxy.limits.client import client_of
from proxy.limits.rate import Meters
from proxy.observe.logs import Seldom, logger
from proxy.routes.template import Template

Who = Callable[[Exchange], Hashable]

log = logger("http")


@dataclass(frozen=True, slots=True)
class Limit:
    """One rate that requests are held against. `name` is its name in answers and metrics."""

    name: str
    meters: Meters
    who: Who

    @property
    def policy(self) -> bytes:
        rate = self.meters.rate
        return b'"%b";q=%d;w=%d' % (self.name.encode(), rate.requests, rate.period_s)

    def standing(self, who: Hashable, now: float) -> bytes:
        left, reset_s = self.meters.left(who, now), self.meters.reset_s(who, now)
        return b'"%b";r=%d;t=%d' % (self.name.encode(), left, reset_s)


class LimitedEndpoint:
    """Lets requests through to an endpoint as often as all of its limits allow. One that is refused counts for none."""

    def __init__(self, inner: Handler, limits: Sequence[Limit], route: str) -> None:
        self._inner = inner
        self._limits = limits
        self._route = route
        self._policy = (b"ratelimit-policy", b", ".join([limit.policy for limit in limits]))
        self._seldom = Seldom()

    def __repr__(self) -> str:
        return f"<LimitedEndpoint {self._route} {self._policy[1].decode()}>"

    async def __call__(self, exchange: Exchange) -> None:
        now = now_s()
        asked = [(limit, limit.who(exchange)) for limit in self._limits]
        try:
            _hold(asked, now)
            for limit, who in asked:
                if not limit.meters.count(who, now) and self._seldom(limit.name):
                    self._warn(limit, exchange)
        finally:
            standings = b", ".join([limit.standing(who, now) for limit, who in asked])
            exchange.more_headers = [*exchange.more_headers, self._policy, (b"ratelimit", standings)]
        await self._inner(exchange)

    def _warn(self, limit: Limit, exchange: Exchange) -> None:
        clients, request_id = len(limit.meters), exchange.request_id
        log.warning("client_not_counted", route=self._route, limit=limit.name, clients=clients, request_id=request_id)


def _hold(asked: Sequence[tuple[Limit, Hashable]], now: float) -> None:
    """Raises RateLimited, for the limit that has to be waited for longest."""
    longest_s, over = 0.0, None
    for limit, who in asked:
        wait_s = limit.meters.wait_s(who, now)
        if wait_s > longest_s:
            longest_s, over = wait_s, limit
    if over is not None:
        rate, pause_s = over.meters.rate, ceil(longest_s)
        detail = f"More came than {rate.requests} requests in {rate.period_s} s. Try again in {pause_s} s."
        raise RateLimited(detail, retry_after_s=pause_s, limit=over.name)


def everybody(_: Exchange) -> Hashable:
    return ""


def by_address(exchange: Exchange) -> Hashable:
    address = exchange.client_address
    return client_of(address) if address else ""


def by_template(text: str) -> Who:
    """What the template makes of the request, or its address where a field is missing. Raises BadTemplate."""
    template = Template.compile(text, "client of a rate")

    def who(exchange: Exchange) -> Hashable:
        request = exchange.request()
        try:
            return template.encoded(request)
        except FieldMissing:
            return by_address(exchange)  # text, not bytes: no client can name itself like another's address

    return who
