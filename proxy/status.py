"""How the running bridge is doing: for the admin side, and for every scrape of its metrics."""

from collections.abc import Iterator, Mapping, Sequence

from proxy.admin.operations import Dependency, RouteState
from proxy.config.model import Config
from proxy.endpoints import all_topics, topics_of
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


def produce_samples(queues: ProduceQueues) -> Iterator[Sample]:
    for topic, (records, size_bytes, batches) in queues.by_topic().items():
        yield Sample("stepbridge_produce_queue_records", {"topic": topic}, records)
        yield Sample("stepbridge_produce_queue_bytes", {"topic": topic}, size_bytes)
        yield Sample("stepbridge_batches_in_flight", {"topic": topic}, batches)
