"""One address of an upstream: where it is, and how it does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from proxy.config.upstreams import UpstreamService
from proxy.errors import CircuitOpen, UpstreamAway
from proxy.upstream.breaker import Breaker


@dataclass(slots=True, eq=False)
class Address:
    """`is_healthy` is what checks say, and True without any. `trouble`: what failed last, for people."""

    url: str  # http://host:port
    breaker: Breaker
    is_healthy: bool = True
    trouble: str = ""
    in_use: int = 0
    host: bytes = field(init=False)  # as in a Host header

    def __post_init__(self) -> None:
        self.host = urlsplit(self.url).netloc.encode()

    def __repr__(self) -> str:
        return f"<Address {self.url} {self.in_use} in use{'' if self.is_healthy else ', unhealthy'}>"

    def takes(self, now_s: float) -> bool:
        return self.is_healthy and self.breaker.admits(now_s)


def addresses_of(service: UpstreamService) -> Sequence[Address]:
    """Fresh ones, as the file has them."""
    breaker = service.breaker
    return [Address(url, Breaker(breaker.failures, breaker.open_ms / 1000)) for url in service.url]


def choose(addresses: Sequence[Address], tried: Sequence[Address], now_s: float, name: str) -> Address:
    """The least busy of those that take requests, one that was not tried before others. Raises UpstreamAway's kin."""
    able = [address for address in addresses if address.takes(now_s)]
    if able:
        return min(able, key=lambda address: (address in tried, address.in_use))
    healthy = [address for address in addresses if address.is_healthy]
    if not healthy:
        raise UpstreamAway(f"No address of `{name}` is healthy, as its checks say. Try again later.", retry_after_s=5)
    wait_s = min(address.breaker.wait_s(now_s) for address in healthy)
    detail = f"`{name}` failed so often that it is left alone for a moment. Try again later."
    raise CircuitOpen(detail, retry_after_s=int(wait_s) + 1)
