"""This worker's place among its peers (`seams.Peers`): where it listens, and the connections that it opened and took.

Each worker calls each other one that it needs, so between two there are two connections, one for what each of them asks
for. A call that fails is repeated for as long as the address is in some group's map.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from proxy.config.tls import PeerTls
from proxy.errors import PeerAway
from proxy.observe.logs import logger
from proxy.peers.connection import Connection
from proxy.peers.handshake import Calling, Listening, Secret
from proxy.peers.privacy import Privacy
from proxy.seams.peers import PeerService

CALL_S = 3.0
AGAIN_S = (0.1, 2.0)  # the first pause before a call is repeated, and the longest
MAX_UNKNOWN = 64  # connections that have not finished their greeting

log = logger("peers")


class Network:
    """`async with` listens, and closes everything."""

    def __init__(
        self, host: str, port: int, address: str, secrets: Sequence[str], privacy: Privacy | None = None
    ) -> None:
        """`address` is where peers reach this worker. With `privacy` both sides also show certificates, in TLS."""
        self.privacy = privacy
        self.address = address
        self.refused = 0  # connections of strangers
        self._host = host
        self._port = port
        self._secrets = [Secret(text) for text in secrets]
        self._services: dict[str, PeerService] = {}
        self._links: dict[str, Link] = {}
        self._followed: dict[str, frozenset[str]] = {}
        self._callers: set[Connection] = set()
        self._unknown: set[Connection] = set()
        self._server: asyncio.Server | None = None

    def __repr__(self) -> str:
        return f"<Network {self.address}, {len(self._callers)} callers, links {list(self._links.values())}>"

    async def __aenter__(self) -> "Network":
        """Raises OSError if it cannot listen."""
        loop = asyncio.get_running_loop()
        tls = self.privacy.listening() if self.privacy else {}
        self._server = await loop.create_server(self._called, self._host, self._port, reuse_address=True, **tls)
        log.info("peers_listening", address=self.address, host=self._host, port=self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for connection in [*self._callers, *self._unknown]:
            connection.close("this bridge stops")
        await asyncio.gather(*(link.close() for link in self._links.values()))
        if self._server is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), CALL_S)

    # ---- `seams.Peers`

    def serve(self, group: str, service: PeerService) -> None:
        """What peers say about this group goes to `service`; the newest counts."""
        self._services[group] = service

    def leave(self, group: str, service: PeerService) -> None:
        """Harmless if it does not serve."""
        if self._services.get(group) is service:
            del self._services[group]
            self.follow(group, ())

    def follow(self, group: str, addresses: Iterable[str]) -> None:
        """Stay connected to exactly these, and to what other groups follow."""
        self._followed[group] = frozenset(addresses) - {self.address}
        wanted = frozenset().union(*self._followed.values())
        for address in self._links.keys() - wanted:
            self._links.pop(address).close_soon()
        for address in wanted - self._links.keys():
            self._links[address] = Link(address, self)

    def link(self, address: str) -> "Link | None":
        return self._links.get(address)

    @property
    def links(self) -> Mapping[str, bool]:
        """By address: whether it is connected."""
        return {address: link.is_up for address, link in self._links.items()}

    # ---- callers

    def renew(self, tls: PeerTls) -> None:
        """New connections show and demand what these files hold now."""
        if self.privacy is not None:
            self.privacy.renew(tls)

    def _called(self) -> Connection:
        return _Caller(self)

    def met(self, connection: Connection) -> None:
        """A stranger calls, and has greeted nobody yet."""
        if len(self._unknown) >= MAX_UNKNOWN:
            next(iter(self._unknown)).close("too many others were greeting")
        self._unknown.add(connection)

    def service_of(self, message: Any) -> PeerService | None:
        """Who hears it. None: we do not read for that group (any more)."""
        return self._services.get(message[1])

    def services(self) -> Sequence[PeerService]:
        return list(self._services.values())


class _Caller(Connection):
    """From somebody who called. Known from its first byte, or with TLS from the end of that handshake."""

    def __init__(self, network: Network) -> None:
        super().__init__(Listening(network._secrets), _Callers(network))
        self._network = network

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._network.met(self)
        super().connection_made(transport)


class _Callers:
    """Hears what callers say (`connection.Ear`)."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def opened(self, connection: Connection) -> None:
        self._network._unknown.discard(connection)
        self._network._callers.add(connection)
        log.info("peer_called", peer=connection.address)

    def told(self, connection: Connection, message: Any) -> None:
        if (service := self._network.service_of(message)) is not None:
            service.told(connection, message)

    async def asked(self, connection: Connection, message: Any) -> Any:
        service = self._network.service_of(message)
        return await service.asked(message) if service is not None else None

    def closed(self, connection: Connection, reason: str) -> None:
        network = self._network
        if connection in network._callers:
            network._callers.discard(connection)
            log.info("peer_left", peer=connection.address, reason=reason)
            for service in network.services():
                service.caller_gone(connection)
            return
        network._unknown.discard(connection)
        network.refused += 1
        log.warning("peer_refused", peer=connection.address or "unknown", reason=reason)


class Link:
    """Our connection to one peer, opened anew whenever it breaks (`seams.PeerLink`, `connection.Ear`)."""

    def __init__(self, address: str, network: Network) -> None:
        self.address = address
        self._network = network
        self._connection: Connection | None = None
        self._is_over = asyncio.Event()
        self._calling = asyncio.create_task(self._call_for_ever(), name=f"call peer {address}")

    def __repr__(self) -> str:
        return f"<Link {self.address} {'up' if self.is_up else 'down'}>"

    @property
    def is_up(self) -> bool:
        return self._connection is not None and self._connection.is_open

    def tell(self, message: Any) -> bool:
        """False: it is down."""
        return self._connection is not None and self._connection.tell(message)

    async def ask(self, message: Any) -> Any:
        """See `seams.PeerLink.ask`."""
        if self._connection is None:
            raise PeerAway(f"The peer {self.address} is not connected.", is_sent=False)
        return await self._connection.ask(message)

    def close_soon(self) -> None:
        self._calling.cancel()
        if self._connection is not None:
            self._connection.close("it is needed no longer")

    async def close(self) -> None:
        self.close_soon()
        await asyncio.wait([self._calling])

    async def _call_for_ever(self) -> None:
        pause_s, longest_s = AGAIN_S
        while True:
            was_open = await self._call()
            pause_s = AGAIN_S[0] if was_open else min(longest_s, 2 * pause_s)
            await asyncio.sleep(pause_s)

    async def _call(self) -> bool:
        """One connection's life. Returns whether it was ever open."""
        host, _, port = self.address.rpartition(":")
        connection = Connection(Calling(self._network._secrets, self._network.address), self, self.address)
        privacy, loop = self._network.privacy, asyncio.get_running_loop()
        self._is_over.clear()
        self._was_open = False
        try:
            async with asyncio.timeout(CALL_S):
                tls = privacy.calling(host.strip("[]")) if privacy else {}
                await loop.create_connection(lambda: connection, host.strip("[]"), int(port), **tls)
        except (OSError, TimeoutError, ValueError) as exc:
            log.warning("peer_not_reached", peer=self.address, reason=str(exc) or "no answer in time")
            return False
        await self._is_over.wait()
        return self._was_open

    # ---- what it hears

    def opened(self, connection: Connection) -> None:
        self._connection = connection
        self._was_open = True
        log.info("peer_connected", peer=self.address)
        for service in self._network.services():
            service.link_up(self)

    def told(self, connection: Connection, message: Any) -> None:
        if (service := self._network.service_of(message)) is not None:
            service.lent(self, message)

    async def asked(self, connection: Connection, message: Any) -> Any:
        return None  # whoever was called has nothing to ask

    def closed(self, connection: Connection, reason: str) -> None:
        self._is_over.set()
        if self._connection is connection:
            self._connection = None
            log.warning("peer_lost", peer=self.address, reason=reason)
            for service in self._network.services():
                service.link_down(self)
        else:
            log.warning("peer_not_reached", peer=self.address, reason=reason)
