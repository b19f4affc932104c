"""What the bridge asks a cluster about its topics: the requests, and what their answers mean. No state."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.admin import CreateTopicsRequest, DescribeConfigsRequest

from proxy.kafka.internals import ask_metadata
from proxy.record import Topic

BROKER_DEFAULT = -1  # as number of partitions and of replicas: what the broker's own configuration says
CREATE_TIMEOUT_MS = 5_000


@dataclass(frozen=True, slots=True)
class ClusterAnswer:
    """One look at the cluster. Topics that do not exist are in neither collection."""

    cluster_id: str
    brokers: int
    controller: int
    topics: Mapping[str, Topic]
    forbidden: frozenset[str]


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """What DescribeConfigs says of one topic; the defaults are Kafka's own."""

    max_message_bytes: int = 1_048_588
    compacted: bool = False
    log_append_time: bool = False
    min_insync_replicas: int = 1

    @classmethod
    def read(cls, entries: Mapping[str, str]) -> "TopicSettings":
        return cls(
            max_message_bytes=int(entries.get("max.message.bytes", cls().max_message_bytes)),
            compacted="compact" in entries.get("cleanup.policy", ""),
            log_append_time=entries.get("message.timestamp.type") == "LogAppendTime",
            min_insync_replicas=int(entries.get("min.insync.replicas", 1)),
        )


@dataclass(frozen=True, slots=True)
class SettingsAnswer:
    """The settings of the topics that could be read, and why the others could not."""

    settings: Mapping[str, TopicSettings] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


async def ask_cluster(client: AIOKafkaClient, names: Iterable[str]) -> ClusterAnswer | None:
    """Look at the cluster and at these topics; no topic comes into being by it. None: no broker answered."""
    answer = await ask_metadata(client, client.cluster, sorted(names))
    if answer is None:
        return None
    found = {name: (for_code(code), partitions) for code, name, _, partitions in answer.topics}
    return ClusterAnswer(
        cluster_id=answer.cluster_id or "",
        brokers=len(answer.brokers),
        controller=answer.controller_id,
        topics={name: _topic(name, parts) for name, (error, parts) in found.items() if error is NoError and parts},
        forbidden=frozenset(name for name, (error, _) in found.items() if error is TopicAuthorizationFailedError),
    )


def _topic(name: str, partitions: list[tuple[Any, ...]]) -> Topic:
    _error, _partition, _leader, replicas, *_ = partitions[0]
    return Topic(name, partitions=len(partitions), replicas=len(replicas))


async def ask_settings(client: AIOKafkaClient, names: Iterable[str]) -> SettingsAnswer:
    """Read the topics' settings. Raises nothing: a broker without DescribeConfigs is a reason like any other."""
    wanted = sorted(names)
    request = DescribeConfigsRequest([(ConfigResourceType.TOPIC, name, _SETTING_NAMES) for name in wanted])
    try:
        answer = await client.send(client.get_random_node(), request)
    except (KafkaError, OSError, TimeoutError) as exc:
        return SettingsAnswer(refused=dict.fromkeys(wanted, repr(exc)))
    settings, refused = {}, {}
    for code, message, _type, name, entries in answer.resources:
        if code:
            refused[name] = message or for_code(code).__name__
        else:
            settings[name] = TopicSettings.read({entry[0]: entry[1] for entry in entries if entry[1] is not None})
    return SettingsAnswer(settings, refused)


_SETTING_NAMES = ["max.message.bytes", "cleanup.policy", "message.timestamp.type", "min.insync.replicas"]


async def create_topic(
    client: AIOKafkaClient,
    name: str,
    controller: int,
    *,
    partitions: int = BROKER_DEFAULT,
    replication: int = BROKER_DEFAULT,
    settings: Mapping[str, str] | None = None,
) -> str | None:
    """Create a topic, with the broker's defaults where nothing is said. Returns why it could not be done, or None.

    A broker that has no CreateTopics (librdkafka's mock) makes it when asked for its metadata, its own way.
    """
    topic: tuple[Any, ...] = (name, partitions, replication, [], list((settings or {}).items()))
    request = CreateTopicsRequest([topic], CREATE_TIMEOUT_MS, False)
    try:
        known = client.cluster.broker_metadata(controller) is not None
        answer = await client.send(controller if known else client.get_random_node(), request)
    except IncompatibleBrokerVersion:
        await ask_metadata(client, client.cluster, [name], create=True)
        return None
    except (KafkaError, OSError, TimeoutError) as exc:
        return repr(exc)
    [(_, code, message)] = answer.topic_errors
    return None if for_code(code) in (NoError, TopicAlreadyExistsError) else message or for_code(code).__name__
