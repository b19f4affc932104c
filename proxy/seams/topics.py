"""What is known of topics: all floors above ask it."""

from typing import Protocol

from proxy.clock import Deadline
from proxy.record import Topic


class Topics(Protocol):
    """What is known of the cluster's topics (`kafka/topics.py`). Never makes a topic by asking for it."""

    def get(self, name: str) -> Topic:
        """The topic as last seen. Raises TopicMissing, or KafkaAway while no metadata was ever read."""
        ...

    async def find(self, name: str, deadline: Deadline) -> Topic:
        """Like `get`, but looks again (at most once a second for all callers) before it says TopicMissing."""
        ...

    def cluster_id(self) -> str:
        """The cluster's own id, for positions. Raises KafkaAway while no metadata was ever read."""
        ...
