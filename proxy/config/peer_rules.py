"""What several processes need in order to serve one client together: rules on `peer`, `secret` and `server.workers`."""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.config.mistake import Fault
from proxy.config.model import Admin, Peer, Server, split_address
from proxy.config.outline import routes, section

Data = Mapping[str, Any]

_LAST_PORT = 65_535
_ANYWHERE = ("0.0.0.0", "::")
_MAKE_ONE = "`openssl rand -base64 32` makes one"


def workers_of_a_group_are_peers(data: Data) -> Iterator[Fault]:
    """A record waits at the worker that owns its partition, a client at any: the two must find each other."""
    if _workers(data) < 2 or data.get("peer") is not None:
        return
    groups = {str(route.consume["group"]) for route in routes(data) if route.consume.get("group") is not None}
    if groups:
        detail = f"is {_workers(data)}, and routes read for groups ({', '.join(sorted(groups))}): write `peer` with"
        yield Fault(("server", "workers"), f"{detail} `listen` and `secret`, so that workers find each other")


def processes_share_a_secret(data: Data) -> Iterator[Fault]:
    """What one process signs, another must believe."""
    reads = any(route.consume for route in routes(data))
    if not reads or data.get("secret") not in (None, []):
        return
    if data.get("peer") is not None:
        yield Fault(("peer",), f"also needs the top-level `secret`: peers take each other's leases; {_MAKE_ONE}")
    elif _workers(data) > 1:
        detail = f"is {_workers(data)}, and routes read: write `secret`, so that each takes the others' leases and"
        yield Fault(("server", "workers"), f"{detail} positions; {_MAKE_ONE}")


def peers_are_told_where(data: Data) -> Iterator[Fault]:
    """Nobody can connect to 'anywhere'."""
    peer = section(Peer, data.get("peer"))
    if peer is None:
        return
    for key, address in (("listen", peer.listen), ("advertise", peer.advertise)):
        if address and split_address(address)[0] in _ANYWHERE and (key == "advertise" or not peer.advertise):
            detail = f"{address} is no address to connect to: write `advertise`, this host's name as others know it"
            yield Fault(("peer", key), detail)


def peers_have_ports(data: Data) -> Iterator[Fault]:
    """Worker i is at port + i."""
    peer, workers = section(Peer, data.get("peer")), _workers(data)
    if peer is None:
        return
    for key, address in (("listen", peer.listen), ("advertise", peer.advertise)):
        last = split_address(address)[1] + workers - 1 if address else 0
        if last > _LAST_PORT:
            detail = f"{workers} workers need the ports up to {last}: begin at {_LAST_PORT - workers + 1} or below"
            yield Fault(("peer", key), detail)


def peer_ports_are_their_own(data: Data) -> Iterator[Fault]:
    """They are not the ports that clients or operators come in at."""
    peer = section(Peer, data.get("peer"))
    if peer is None:
        return
    host, first = split_address(peer.listen)
    for name, side in (("server", section(Server, data.get("server"))), ("admin", section(Admin, data.get("admin")))):
        if side and first <= side.port < first + _workers(data) and _meet(host, side.host):
            detail = f"{side.port}, the port of `{name}`, is among its ports ({first} and one more for each worker)"
            yield Fault(("peer", "listen"), f"{detail}: give each its own")


def _workers(data: Data) -> int:
    server = section(Server, data.get("server"))
    return server.workers if server else 1


def _meet(one: str, other: str) -> bool:
    return one == other or one in _ANYWHERE or other in _ANYWHERE


PEER_RULES = (
    workers_of_a_group_are_peers,
    processes_share_a_secret,
    peers_are_told_where,
    peers_have_ports,
    peer_ports_are_their_own,
)
