"""Makes the scenario's topics in a real Kafka (`demo --bootstrap`); the embedded broker makes its own."""

from collections.abc import Sequence
from concurrent.futures import as_completed

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from proxy.demo.process import DemoFailed

PARTITIONS = 4


def make_topics(bootstrap: str, names: Sequence[str], *, timeout_s: float = 20.0) -> None:
    """Make those that do not exist, with the cluster's own replication. Blocks; raises DemoFailed."""
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    made = client.create_topics([NewTopic(name, PARTITIONS) for name in names], request_timeout=timeout_s)
    for future in as_completed(made.values(), timeout=timeout_s + 5):
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise DemoFailed(f"{bootstrap} did not make the demo's topics: {error.args[0].str()}") from error
