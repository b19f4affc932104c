"""Whoever was killed and came back under the same address: its former member, which the group still counts on.

Kafka waits a session timeout for a member that died without a word. A newcomer that joins meanwhile makes the whole
group wait with it, since the rebalance that it asks for needs an answer from everyone. But the address in a member's
data tells whose it was; if that is ours, and the instance is not, nobody is behind it any more: it leaves.
"""

import asyncio
import contextlib

from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.group import LeaveGroupRequest

from proxy.kafka.assignor import MemberData
from proxy.observe.logs import logger

WITHIN_S = 2.0

log = logger("kafka")


async def dismiss(client: AIOKafkaClient, group: str, own: MemberData) -> None:
    """Let former members at our address leave the group. Bounded; raises nothing: without it the group waits longer."""
    with contextlib.suppress(kafka.KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(WITHIN_S):
            coordinator = await client.coordinator_lookup(CoordinationType.GROUP, group)
            for member_id in await _former(client, coordinator, group, own):
                request = LeaveGroupRequest(group, member_id)
                await client.send(coordinator, request, group=ConnectionGroup.COORDINATION)
                log.info("former_member_left", group=group, address=own.address)


async def _former(client: AIOKafkaClient, coordinator: int, group: str, own: MemberData) -> list[str]:
    """Only a stable group tells what its members said of themselves."""
    answer = await client.send(coordinator, DescribeGroupsRequest([group]), group=ConnectionGroup.COORDINATION)
    return [
        member_id
        for _, _, _, _, _, members, *_ in answer.groups
        for member_id, _, _, metadata, _ in members
        if _is_former(metadata, own)
    ]


def _is_former(metadata: bytes, own: MemberData) -> bool:
    try:
        said = MemberData.decode(ConsumerProtocolMemberMetadata.decode(metadata).user_data)
    except Exception:  # noqa: BLE001 - whatever another kind of member wrote there
        return False
    return said.address is not None and said.address == own.address and said.instance != own.instance
