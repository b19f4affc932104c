"""Routes that will go say so in every answer: Deprecation (RFC 9745), Sunset (RFC 8594), and a Link to the reasons."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from proxy.config.moment import read_moment
from proxy.config.upstreams import Deprecation
from proxy.http.dispatch import Handler
from proxy.http.exchange import Exchange, Headers


def deprecation_headers(deprecation: Deprecation) -> Headers:
    """What the file says, as header fields."""
    since_ms, sunset_ms = (read_moment(text) if text else None for text in (deprecation.since, deprecation.sunset))
    headers: list[tuple[bytes, bytes]] = []
    if since_ms is not None:
        headers.append((b"deprecation", b"@%d" % (since_ms // 1000)))
    if sunset_ms is not None:
        at = datetime.fromtimestamp(sunset_ms // 1000, UTC)
        headers.append((b"sunset", format_datetime(at, usegmt=True).encode()))
    if deprecation.link:
        rel = b"deprecation" if since_ms is not None or sunset_ms is None else b"sunset"
        headers.append((b"link", b'<%b>; rel="%b"' % (deprecation.link.encode(), rel)))
    return headers


@dataclass(frozen=True, slots=True)
class DeprecatedEndpoint:
    """An endpoint whose clients are told, with refusals too."""

    inner: Handler
    headers: Headers

    async def __call__(self, exchange: Exchange) -> None:
        exchange.more_headers = [*exchange.more_headers, *self.headers]
        await self.inner(exchange)
