"""The bridge's own topics: made when they are missing, if they may be (`kafka.internal`)."""

from collections.abc import Mapping

from proxy.errors import KafkaAway, KafkaForbids, TopicMissing
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.questions import ask_cluster, create_topic
from proxy.observe.logs import logger

# Small segments, since only closed ones are compacted and each start reads the rest; 1 MiB is Kafka's least (KIP-1030).
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.bytes": "1048576",
    "segment.ms": "3600000",
    "min.cleanable.dirty.ratio": "0.1",
}

KEPT_LONG = {"cleanup.policy": "delete", "retention.ms": str(30 * 24 * 3600 * 1000)}  # for people to see to

log = logger("kafka")


async def make_internal(
    settings: KafkaSettings, name: str, content: Mapping[str, str], *, partitions: int, replication: int, create: bool
) -> None:
    """See that a topic is there; if it is made, then with these settings.

    More replicas than there are brokers are lowered to that, with a warning. Raises KafkaAway; TopicMissing if it is
    missing and may not be made; KafkaForbids if the cluster would not make it, or does not let us see it.
    """
    client = settings.client()
    try:
        answer = await ask_cluster(client, [name])
        if answer is None:
            raise KafkaAway("Kafka cannot be reached. Try again.")
        if name in answer.forbidden:
            raise KafkaForbids(f"The cluster does not let the bridge see topic {name!r}: grant READ, WRITE, DESCRIBE.")
        if name in answer.topics:
            return
        if not create:
            raise TopicMissing(
                f"Topic {name!r} does not exist, and `kafka.internal.create` is false: make it with "
                f"partitions={partitions} and {', '.join(f'{key}={value}' for key, value in content.items())}."
            )
        if replication > answer.brokers:
            log.warning("replication_lowered", topic=name, asked=replication, brokers=answer.brokers)
        reason = await create_topic(
            client,
            name,
            answer.controller,
            partitions=partitions,
            replication=min(replication, answer.brokers),
            settings=content,
        )
        if reason is not None:
            raise KafkaForbids(f"Topic {name!r} could not be made: {reason}. Grant CREATE, or make it by hand.")
        log.info("topic_created", topic=name)
    finally:
        await client.close()
