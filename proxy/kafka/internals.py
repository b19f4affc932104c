"""All that the bridge knows of aiokafka's private parts (0.14), each with a test that fails when it changes.

Nothing else in the house touches a name of aiokafka's that begins with an underscore.
"""

import random
from collections.abc import Collection
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import collect_hosts
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import BrokerMetadata


def client_of(consumer: AIOKafkaConsumer) -> AIOKafkaClient:
    return consumer._client


def never_create_topics(client: AIOKafkaClient) -> None:
    """Let `client` ask for topics without making them, and find the cluster again when all its brokers have moved.

    aiokafka's own request for metadata by name lets a broker with `auto.create.topics.enable` create the topic, and
    goes only to the brokers it has last heard of. Call before the client is used.
    """
    client.cluster._bootstrap_brokers = {
        f"bootstrap-{i}": BrokerMetadata(f"bootstrap-{i}", host, port, None)
        for i, (host, port, _) in enumerate(collect_hosts(client._bootstrap_servers))
    }
    client._metadata_update = partial(_metadata_update, client)


async def _metadata_update(client: AIOKafkaClient, cluster: ClusterMetadata, names: Collection[str] | None) -> bool:
    return await ask_metadata(client, cluster, list(names) if names else None) is not None


async def ask_metadata(
    client: AIOKafkaClient, cluster: ClusterMetadata, names: list[str] | None, *, create: bool = False
) -> Any | None:
    """Ask one broker after the other about these topics (None: all) and keep the answer in `cluster`.

    Returns aiokafka's MetadataResponse (version 4 or 5), or None if no broker answered. Raises nothing.
    """
    request = MetadataRequest(names, allow_auto_topic_creation=create)
    for node_id in _nodes(client):
        try:
            answer = await client.send(node_id, request)
        except (KafkaError, OSError, TimeoutError):
            continue
        if answer.brokers:
            cluster.update_metadata(answer)
            return answer
    cluster.failed_update(None)
    return None


def _nodes(client: AIOKafkaClient) -> list[Any]:
    """The brokers last heard of, in any order; then those that the configuration names."""
    known = list(client.cluster._brokers)
    random.shuffle(known)
    return known + list(client.cluster._bootstrap_brokers)
