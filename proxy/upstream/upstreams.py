"""All upstreams of the file. A reload keeps those that are as they were, with what their TLS files hold now, and lets
the others finish what they have."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from proxy.clock import now_s
from proxy.config.upstreams import UpstreamService
from proxy.observe.logs import logger
from proxy.observe.metrics import Sample, UpstreamMetrics
from proxy.tasks import Tasks
from proxy.upstream.health import watch_health
from proxy.upstream.service import Service

RETIRED_WITHIN_S = 3_600.0  # streams of an upstream that a reload took away

log = logger("upstream")


class Upstreams:
    """`async with` opens and closes them. `metrics_of`: the counters for a name."""

    def __init__(self, metrics_of: Callable[[str], UpstreamMetrics]) -> None:
        self._metrics_of = metrics_of
        self._services: dict[str, Service] = {}
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._tasks = Tasks()

    def __repr__(self) -> str:
        return f"<Upstreams {', '.join(self._services) or 'none'}>"

    async def __aenter__(self) -> "Upstreams":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.end()
        for service in self._services.values():
            await service.close()

    def __iter__(self) -> Iterator[Service]:
        return iter(self._services.values())

    def __getitem__(self, name: str) -> Service:
        return self._services[name]

    def follow(self, configs: Mapping[str, UpstreamService]) -> None:
        """Put these in force. Raises OSError if a file of TLS cannot be used, and then nothing has changed."""
        fresh = {
            name: Service(name, config, self._metrics_of(name))
            for name, config in configs.items()
            if name not in self._services or self._services[name].config != config
        }
        for name in [name for name in self._services if name in fresh or name not in configs]:
            self._retire(name)
        for service in self._services.values():
            service.renew()
        for name, service in fresh.items():
            self._services[name] = service
            if service.config.health:
                check = asyncio.create_task(watch_health(service, service.config.health), name=f"check {name}")
                self._checks[name] = check
                self._tasks.keep(check)

    def _retire(self, name: str) -> None:
        service = self._services.pop(name)
        checks = self._checks.pop(name, None)
        if checks:
            checks.cancel()
        self._tasks.begin(_close_when_idle(service), name=f"retire {name}")

    def samples(self) -> Iterator[Sample]:
        """What they are like now."""
        now = now_s()
        for service in self:
            yield Sample("stepbridge_upstream_waiting", {"upstream": service.name}, service.slots.waiting)
            for address in service.addresses:
                labels = {"upstream": service.name, "address": address.url}
                is_closed = address.breaker.state(now) == "closed"
                yield Sample("stepbridge_upstream_connections", labels, address.in_use)
                yield Sample("stepbridge_upstream_address_up", labels, address.is_healthy and is_closed)
                yield Sample("stepbridge_upstream_breaker_open", labels, not is_closed)
                yield Sample("stepbridge_upstream_breaker_opened_total", labels, address.breaker.opened)


async def _close_when_idle(service: Service) -> None:
    try:
        async with asyncio.timeout(RETIRED_WITHIN_S):
            await service.slots.idle()
    except TimeoutError:
        log.warning("upstream_cut_off", upstream=service.name, requests=service.slots.count)
    finally:
        await service.close()


def troubles(service: Service) -> Sequence[str]:
    """Why addresses of it get no requests, for people; none while one of them does."""
    now = now_s()
    if any(address.takes(now) for address in service.addresses):
        return ()
    return [f"{address.url}: {address.trouble or 'left alone after failures'}" for address in service.addresses]
