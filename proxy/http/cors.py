"""Letting pages of other origins call a route (the Fetch standard, "CORS protocol").

The browser decides; the bridge only says which origins it means. An origin that is not among them is answered without
the headers that say so, and its browser keeps the answer from the page. The request itself is dealt with as any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proxy.config.model import Cors
from proxy.config.pattern import ANY_METHOD, METHODS
from proxy.http.dispatch import Handler
from proxy.http.exchange import Exchange, Headers

ALLOWED_HEADERS = ("content-type", "last-event-id", "prefer", "x-request-id")
EXPOSED_HEADERS = "ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, Stepbridge-Lease, X-Request-Id"
EXPOSE = (b"access-control-expose-headers", EXPOSED_HEADERS.encode())
VARY = (b"vary", b"origin")
PREFLIGHT_VARY = (b"vary", b"origin, access-control-request-method, access-control-request-headers")


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """What a route grants, compiled."""

    origins: frozenset[bytes]  # as browsers send them; b"*" is any
    headers: bytes
    credentials: bool
    max_age_s: int

    @classmethod
    def of(cls, cors: Cors, headers: Sequence[str] = ()) -> "CorsPolicy":
        """`headers`: those that callers of the route need besides."""
        names = dict.fromkeys([*ALLOWED_HEADERS, *(name.lower() for name in (*cors.headers, *headers))])
        origins = frozenset(origin.encode() for origin in cors.origins)
        return cls(origins, ", ".join(names).encode(), cors.credentials, cors.max_age_ms // 1000)

    def grants(self, exchange: Exchange) -> Headers:
        """What lets the origin of this request see the answer; nothing where it may not."""
        origin = exchange.header(b"origin")
        if origin is None or self.origins.isdisjoint((origin, b"*")):
            return ()
        allowed = b"*" if b"*" in self.origins else origin
        with_credentials = [(b"access-control-allow-credentials", b"true")] if self.credentials else []
        return [(b"access-control-allow-origin", allowed), *with_credentials]


@dataclass(frozen=True, slots=True)
class CorsEndpoint:
    """A handler whose answers, refusals included, pages of the policy's origins may read."""

    inner: Handler
    policy: CorsPolicy

    async def __call__(self, exchange: Exchange) -> None:
        grants = self.policy.grants(exchange)
        exchange.more_headers = [VARY, *grants, EXPOSE] if grants else [VARY]
        await self.inner(exchange)


@dataclass(frozen=True, slots=True)
class Preflight:
    """OPTIONS on a path: what a browser asks before it sends what a form could not."""

    policies: Mapping[str, CorsPolicy]  # by method

    async def __call__(self, exchange: Exchange) -> None:
        method = (exchange.header(b"access-control-request-method") or b"").decode("latin-1")
        policy = self.policies.get(method) or (self.policies.get(ANY_METHOD) if method in METHODS else None)
        headers: Headers = ()
        if policy is not None and (grants := policy.grants(exchange)):
            headers = [
                *grants,
                (b"access-control-allow-methods", method.encode()),
                (b"access-control-allow-headers", policy.headers),
                (b"access-control-max-age", b"%d" % policy.max_age_s),
            ]
        await exchange.answer(204, [PREFLIGHT_VARY, *headers], b"")
