"""Connections to the addresses of one upstream, kept open between requests: aiohttp's pool, without its session.

aiohttp's ClientSession would write header values as UTF-8 and drop what is none, add headers, and lose the rest of a
body that broke off. So heads are ours (`head.py`), and of aiohttp there is what is beneath: connector and parser
(`call.py`).
"""

import asyncio
import os
import select
import ssl

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from yarl import URL

from proxy.config.upstreams import UpstreamService, UpstreamTls
from proxy.errors import ProxyError, UpstreamAway
from proxy.tls import Exchangeable
from proxy.upstream.tls import upstream_context

STALE_TRIES = 8


class Lines:
    """Make one inside the event loop; close it when nothing uses it any more."""

    def __init__(self, service: UpstreamService) -> None:
        keep_s = service.keep_alive_ms / 1000
        pool = {"keepalive_timeout": keep_s} if keep_s else {"force_close": True}
        self._connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=10, **pool)
        has_tls = any(url.startswith("https:") for url in service.url)
        self._tls = Exchangeable(upstream_context(service.tls)) if has_tls else None
        name = service.tls.server_name if service.tls else None
        self._doors = {url: _door(url, self._tls or True, name) for url in service.url}
        connect_s = service.connect_timeout_ms / 1000
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s)

    async def connect(self, url: str) -> Connection:
        """A connection to that address on which nothing is under way, an idle one if there is one.

        Raises UpstreamAway, whose cause says why for the log.
        """
        for _ in range(STALE_TRIES):
            try:
                connection = await self._connector.connect(self._doors[url], [], self._timeout)
            except (aiohttp.ClientError, OSError, TimeoutError) as exc:
                raise UpstreamAway("The service behind this route cannot be reached. Try again later.") from exc
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close and not _said_something(protocol.transport):
                return connection
            connection.close()  # what nobody had asked for must not be taken for the next answer
        raise UpstreamAway("The service behind this route answers before it is asked.")

    def renew(self, tls: UpstreamTls | None) -> None:
        """New connections use the files as they are now. Raises OSError, and then goes on with what they were."""
        if self._tls is not None:
            self._tls.current = upstream_context(tls)

    async def close(self) -> None:
        await self._connector.close()


def why(error: ProxyError) -> str:
    """What lies behind a failure, for the log and operators."""
    cause = error.__cause__
    number = getattr(getattr(cause, "os_error", cause), "errno", None)
    if isinstance(number, int) and number > 0 and not isinstance(cause, aiohttp.ClientSSLError):
        return os.strerror(number)
    return (str(cause) or type(cause).__name__) if cause else error.detail


def _said_something(transport: asyncio.Transport | None) -> bool:
    """Whether a connection that should be idle has ended, or said something, that the loop has not told us yet.

    Else a POST would be sent into an end that is here already, and could not be repeated. TLS talks on its own account.
    """
    socket = transport.get_extra_info("socket") if transport is not None else None
    if transport is None or socket is None or socket.fileno() < 0:
        return True
    if transport.get_extra_info("sslcontext") is not None:
        return False
    arrived = select.poll()
    arrived.register(socket.fileno(), select.POLLIN)
    return bool(arrived.poll(0))


def _door(url: str, context: ssl.SSLContext | bool, server_name: str | None) -> ClientRequest:
    """What aiohttp's connector wants to know of an address."""
    loop = asyncio.get_running_loop()
    return ClientRequest("GET", URL(url), loop=loop, ssl=context, server_hostname=server_name)
