"""Makes the scenario's topics in a real Kafka (`demo --bootstrap`); the embedded broker makes its own."""

from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from proxy.demo.process import DemoFailed

PARTITIONS = 4
ANSWER_WITHIN_S = 5.0
MADE_WITHIN_S = 20.0


def make_topics(bootstrap: str, names: Sequence[str]) -> None:
    """Make those that do not exist, with the cluster's own replication. Blocks; raises DemoFailed."""
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        existing = client.list_topics(timeout=ANSWER_WITHIN_S).topics
    except KafkaException as error:
        raise DemoFailed(f"no Kafka answers at {bootstrap}: {error.args[0].str()}. Is it running?") from error
    missing = [NewTopic(name, PARTITIONS) for name in names if name not in existing]
    for topic, made in client.create_topics(missing).items() if missing else ():
        try:
            made.result(MADE_WITHIN_S)
        except KafkaException as error:
            raise DemoFailed(f"{bootstrap} did not make the topic {topic}: {error.args[0].str()}") from error
