"""What the cluster lets the bridge do: asked of the brokers themselves, which answer for whoever asks (KIP-430).

Two requests that aiokafka lacks, or has wrong, are written out here after Kafka's message definitions: Metadata in
version 8, and DescribeGroups in version 3, whose answer ends with the operations that are allowed.
"""

from collections.abc import Iterable, Mapping

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import GroupAuthorizationFailedError, IncompatibleBrokerVersion, KafkaError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

_OPERATIONS = {  # AclOperation: the bit of each in an answer
    3: "READ",
    4: "WRITE",
    5: "CREATE",
    6: "DELETE",
    7: "ALTER",
    8: "DESCRIBE",
    9: "CLUSTER_ACTION",
    10: "DESCRIBE_CONFIGS",
    11: "ALTER_CONFIGS",
    12: "IDEMPOTENT_WRITE",
}
_UNKNOWN = -(2**31)  # the broker did not say
_FORBIDDEN = 29  # TOPIC_AUTHORIZATION_FAILED: not even to be seen


async def ask_rights(client: AIOKafkaClient, resources: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """What may be done with each of `topic x`, `group y` and `cluster`. What no broker tells is left out.

    Raises nothing. No topic comes into being by it.
    """
    wanted = [resource.partition(" ") for resource in resources]
    topics = sorted(name for kind, _, name in wanted if kind == "topic")
    held: dict[str, frozenset[str]] = {}
    try:
        answer = await client.send(client.get_random_node(), _Metadata(topics))
        held["cluster"] = _read(answer.cluster_operations)
        held |= {f"topic {topic[1]}": _of_topic(topic) for topic in answer.topics}
        for kind, _, name in wanted:
            if kind == "group":
                held[f"group {name}"] = await _of_group(client, name)
    except (KafkaError, OSError, TimeoutError, IncompatibleBrokerVersion, NotImplementedError):
        pass  # a broker before 2.3, or none
    return {resource: operations for resource, operations in held.items() if operations is not _NOT_SAID}


_NOT_SAID: frozenset[str] = frozenset({"not said"})


def _of_topic(topic: tuple[object, ...]) -> frozenset[str]:
    """One that does not exist has no rights that could be told."""
    code, operations = topic[0], topic[-1]
    assert isinstance(operations, int)
    return frozenset() if code == _FORBIDDEN else _NOT_SAID if code else _read(operations)


async def _of_group(client: AIOKafkaClient, name: str) -> frozenset[str]:
    try:
        coordinator = await client.coordinator_lookup(CoordinationType.GROUP, name)
        answer = await client.send(coordinator, _DescribeGroups([name]))
    except GroupAuthorizationFailedError:
        return frozenset()
    [group] = answer.groups
    if for_code(group[0]) is GroupAuthorizationFailedError:
        return frozenset()
    return _NOT_SAID if group[0] else _read(group[-1])


def _read(bits: int) -> frozenset[str]:
    return _NOT_SAID if bits == _UNKNOWN else frozenset(name for bit, name in _OPERATIONS.items() if bits >> bit & 1)


class _MetadataAnswer(Response):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
        ("cluster_operations", Int32),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataAnswer
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_operations", Boolean),
        ("include_topic_operations", Boolean),
    )


class _Metadata(Request[_MetadataRequest]):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        return request_struct_class(self._topics, False, True, True)


class _DescribeGroupsRequest(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class _DescribeGroups(Request[_DescribeGroupsRequest]):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 15

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: type[_DescribeGroupsRequest]) -> _DescribeGroupsRequest:
        return request_struct_class(self._groups, True)
