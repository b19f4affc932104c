"""Active checks: each address is asked how it is, and gets requests or none for it."""

import asyncio

from proxy.config.upstreams import Health
from proxy.errors import ProxyError
from proxy.observe.logs import logger
from proxy.seams.upstream import UpstreamRequest
from proxy.upstream.address import Address
from proxy.upstream.lines import why
from proxy.upstream.service import Service

log = logger("upstream")


async def watch_health(service: Service, health: Health) -> None:
    """Ask all addresses, at each interval, until cancelled."""
    async with asyncio.TaskGroup() as group:
        for address in service.addresses:
            group.create_task(_watch(service, address, health))


async def _watch(service: Service, address: Address, health: Health) -> None:
    """An address counts as healthy until so many checks in a row have failed, and so the other way round."""
    in_a_row = 0
    while True:
        trouble = await _ask(service, address, health)
        if (trouble is None) != address.is_healthy:
            in_a_row += 1
        else:
            in_a_row = 0
        if in_a_row >= (health.unhealthy if address.is_healthy else health.healthy):
            in_a_row = 0
            _turn(service, address, trouble)
        await asyncio.sleep(health.interval_ms / 1000)


def _turn(service: Service, address: Address, trouble: str | None) -> None:
    address.is_healthy = not address.is_healthy
    if trouble is None:
        address.trouble = ""
        log.info("upstream_healthy", upstream=service.name, address=address.url)
    else:
        address.trouble = trouble
        log.warning("upstream_unhealthy", upstream=service.name, address=address.url, reason=trouble)


async def _ask(service: Service, address: Address, health: Health) -> str | None:
    """None: it is well. Else what was wrong."""
    request = UpstreamRequest("GET", health.path.encode(), [(b"user-agent", b"stepbridge-health")])
    try:
        async with asyncio.timeout(health.timeout_ms / 1000):
            status = await service.check(address, request)
    except TimeoutError:
        return f"no answer to GET {health.path} within {health.timeout_ms / 1000:g} s"
    except ProxyError as error:
        return why(error)
    return None if 200 <= status < 400 else f"GET {health.path} was answered {status}"
