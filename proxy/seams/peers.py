"""What the processes of one group ask each other."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from proxy.clock import Deadline
from proxy.record import Partition
from proxy.seams.groups import Committed


class Marks(Protocol):
    """Commits of groups that have no members: notes that last for about a week (`kafka/marks.py`)."""

    async def read(
        self, group: str, partitions: Iterable[Partition], deadline: Deadline
    ) -> Mapping[Partition, Committed]:
        """Partitions without a commit are left out. Raises KafkaAway, KafkaForbids."""
        ...

    async def write(self, group: str, commits: Mapping[Partition, Committed], deadline: Deadline) -> None:
        """Raises KafkaAway (they may be written all the same), KafkaForbids."""
        ...


class PeerLink(Protocol):
    """Our connection to one peer (`peers/network.py`).

    A message is what msgpack carries; the group's name stands second.
    """

    @property
    def address(self) -> str: ...

    @property
    def is_up(self) -> bool: ...

    def tell(self, message: Sequence[Any]) -> bool:
        """Send it, in order. False: it is down. Whether it is heard, only an answer tells."""
        ...

    async def ask(self, message: Sequence[Any]) -> Any:
        """The answer; None: it failed there, or nobody there reads for the group. Raises PeerAway."""
        ...


class PeerCaller(Protocol):
    """A peer's connection to us."""

    @property
    def address(self) -> str: ...

    def tell(self, message: Sequence[Any]) -> bool: ...


class PeerService(Protocol):
    """What hears peers, for one group (`consume/peering/sharing.py`)."""

    def told(self, caller: PeerCaller, message: Any) -> None: ...
    async def asked(self, message: Any) -> Any: ...
    def caller_gone(self, caller: PeerCaller) -> None: ...

    def lent(self, link: PeerLink, message: Any) -> None:
        """Whom we called has told something."""
        ...

    def link_up(self, link: PeerLink) -> None: ...
    def link_down(self, link: PeerLink) -> None: ...


class Peers(Protocol):
    """The other workers, of this and other hosts (`peers/network.py`)."""

    @property
    def address(self) -> str:
        """Where they reach us."""
        ...

    def serve(self, group: str, service: PeerService) -> None: ...
    def leave(self, group: str, service: PeerService) -> None: ...

    def follow(self, group: str, addresses: Iterable[str]) -> None:
        """Stay connected to these, for this group."""
        ...

    def link(self, address: str) -> PeerLink | None:
        """None: nobody follows that address."""
        ...
