"""How the running bridge is doing: for the admin side, and for every scrape of its metrics."""

from collections.abc import Iterator, Mapping, Sequence

from proxy.admin.operations import Dependency, GroupState, PartitionState, RouteState
from proxy.config.model import Config
from proxy.consume import handout
from proxy.consume.group import GroupSession
from proxy.consume.readers import Readers
from proxy.endpoints import GroupKey, all_topics, topics_of
from proxy.kafka.topics import Topics
from proxy.observe.metrics import Sample
from proxy.produce.submitter import ProduceQueues


def dependencies(config: Config, topics: Topics) -> Sequence[Dependency]:
    """The cluster, and each topic that a route names."""
    state = topics.state()
    if not state.reachable:
        unknown = "Not known while no broker answers."
        away = Dependency("kafka", False, f"No broker of {config.kafka.bootstrap_servers} answers.")
        return [away, *(Dependency(f"topic {name}", False, unknown) for name in sorted(all_topics(config)))]
    missing = set(state.missing)
    return [
        Dependency("kafka", True),
        *(
            Dependency(f"topic {name}", name not in missing, "Kafka has no such topic: create it." * (name in missing))
            for name in sorted(all_topics(config))
        ),
    ]


def route_states(config: Config, topics: Topics) -> Mapping[str, RouteState]:
    """What the clients of a route get now, where it is not served."""
    state = topics.state()
    states = {}
    for route in config.routes:
        missing = sorted(set(topics_of(route)) & set(state.missing))
        if not state.reachable:
            states[route.name] = RouteState("kafka_unavailable", "No broker answers.")
        elif missing:
            states[route.name] = RouteState("topic_missing", f"Kafka has no {', '.join(missing)}: create it.")
    return states


def group_states(groups: Readers[GroupKey, GroupSession]) -> Sequence[GroupState]:
    return [_group_state(session.state()) for session in groups]


def _group_state(state: handout.GroupState) -> GroupState:
    """As the admin side shows it."""
    return GroupState(
        group=state.group,
        partitions=[
            PartitionState(p.partition.topic, p.partition.partition, p.committable, p.end, p.lag)
            for p in state.partitions
        ],
        leases_out=state.leased_records,
        oldest_lease_s=state.oldest_lease_s,
        waiting=state.waiting,
        redeliveries=state.redeliveries,
        is_joined=state.is_joined,
        is_fenced=state.is_fenced,
        trouble=state.trouble,
        rejected=state.rejected,
        discarded=state.discarded,
        dead_letters=state.dead_letters,
        renewed=state.renewed,
        dead_waiting=state.dead,
    )


def produce_samples(queues: ProduceQueues) -> Iterator[Sample]:
    for topic, (records, size_bytes, batches) in queues.by_topic().items():
        yield Sample("stepbridge_produce_queue_records", {"topic": topic}, records)
        yield Sample("stepbridge_produce_queue_bytes", {"topic": topic}, size_bytes)
        yield Sample("stepbridge_batches_in_flight", {"topic": topic}, batches)


def group_samples(states: Sequence[GroupState]) -> Iterator[Sample]:
    for state in states:
        group = {"group": state.group}
        yield Sample("stepbridge_group_leases_out", group, state.leases_out)
        yield Sample("stepbridge_group_waiting", group, state.waiting)
        yield Sample("stepbridge_group_redeliveries_total", group, state.redeliveries)
        yield Sample("stepbridge_group_rejected_total", group, state.rejected)
        yield Sample("stepbridge_group_discarded_total", group, state.discarded)
        yield Sample("stepbridge_group_dead_letters_total", group, state.dead_letters)
        yield Sample("stepbridge_group_dead_waiting", group, state.dead_waiting)
        yield Sample("stepbridge_group_renewed_total", group, state.renewed)
        for each in state.partitions:
            if each.lag is not None:
                labels = {**group, "topic": each.topic, "partition": str(each.partition)}
                yield Sample("stepbridge_group_lag_records", labels, each.lag)
