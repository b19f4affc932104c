"""How the bridge connects to Kafka: the one place that knows the arguments of aiokafka's constructors."""

from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient

from proxy.kafka.access import Access
from proxy.kafka.internals import client_of, never_create_topics

ANSWER_MARGIN_MS = 5_000  # a join is answered when the slowest member has rejoined; the request must outlast that


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where the cluster is, who we are to it, and the times that both sides agree on.

    The broker refuses a `session_timeout_ms` outside its own bounds (6 s to 30 min, unless it was told otherwise).
    """

    bootstrap_servers: str  # host:port, separated by commas
    client_id: str = "stepbridge"
    session_timeout_ms: int = 10_000
    heartbeat_ms: int = 500
    request_timeout_ms: int = 10_000
    metadata_max_age_ms: int = 15_000  # new partitions are noticed within this
    access: Access = field(default_factory=Access, compare=False)

    def client(self) -> AIOKafkaClient:
        """A bare client, for questions about the cluster. It connects when it is first asked something."""
        client = AIOKafkaClient(**self._common())
        return self._minded(client)

    def producer(self, **more: Any) -> AIOKafkaProducer:
        """An idempotent producer that waits for all in-sync replicas. Its `start` connects."""
        producer = AIOKafkaProducer(acks="all", enable_idempotence=True, linger_ms=0, **{**self._common(), **more})
        self._minded(producer.client)
        return producer

    def member(self, group: str, assignor: Any) -> AIOKafkaConsumer:
        """A consumer in a group, with this assignor alone (two would make several joins a start)."""
        return self.consumer(
            group_id=group,
            partition_assignment_strategy=(assignor,),
            session_timeout_ms=self.session_timeout_ms,
            heartbeat_interval_ms=self.heartbeat_ms,
            request_timeout_ms=max(self.request_timeout_ms, self.session_timeout_ms + ANSWER_MARGIN_MS),
        )

    def consumer(self, **more: Any) -> AIOKafkaConsumer:
        """A consumer of what is committed, that commits nothing by itself and never jumps. Its `start` connects.

        It prefetches at most 8 MiB a broker, and `check_crcs` keeps a damaged batch from being taken for records.
        """
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="none",
            max_partition_fetch_bytes=256 * 1024,
            fetch_max_bytes=8 * 1024 * 1024,
            check_crcs=True,
            **{**self._common(), **more},
        )
        self._minded(client_of(consumer))
        return consumer

    def _minded(self, client: AIOKafkaClient) -> AIOKafkaClient:
        never_create_topics(client)
        self.access.mind(client)
        return client

    def _common(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "request_timeout_ms": self.request_timeout_ms,
            "metadata_max_age_ms": self.metadata_max_age_ms,
            **self.access.arguments(),
        }
