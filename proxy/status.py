"""How the running bridge is doing: for the admin side, and for every scrape of its metrics."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from proxy.admin.operations import AddressState, Dependency, RouteState, UpstreamState
from proxy.clock import now_s
from proxy.config.kafka_rights import DISPENSABLE, Rights, in_words, needed_by
from proxy.config.model import Config, Route
from proxy.endpoints import all_topics, topics_of
from proxy.kafka.topics import Topics
from proxy.observe.metrics import Sample
from proxy.produce.submitter import ProduceQueues
from proxy.upstream.jwks import Issuers
from proxy.upstream.upstreams import Upstreams, troubles


def dependencies(config: Config, topics: Topics, upstreams: Upstreams, issuers: Issuers) -> Sequence[Dependency]:
    """The cluster, each topic that a route names, each upstream, and each issuer of tokens."""
    return [*_of_kafka(config, topics), *_of_upstreams(upstreams), *_of_issuers(issuers)]


def _of_issuers(issuers: Issuers) -> Iterator[Dependency]:
    """One that cannot be reached is missed only once its keys are."""
    for name, has_keys, trouble in issuers.states():
        yield Dependency(f"issuer {name}", has_keys, trouble)


def _of_upstreams(upstreams: Upstreams) -> Iterator[Dependency]:
    for service in upstreams:
        trouble = troubles(service)
        yield Dependency(f"upstream {service.name}", not trouble, "; ".join(trouble))


def upstream_states(upstreams: Upstreams) -> Sequence[UpstreamState]:
    """How this worker gets on with them."""
    now = now_s()
    return [
        UpstreamState(
            service.name,
            service.slots.count,
            service.slots.waiting,
            [
                AddressState(
                    address.url,
                    address.takes(now),
                    address.is_healthy,
                    address.breaker.state(now),
                    address.breaker.failed_in_a_row,
                    address.in_use,
                    address.trouble,
                )
                for address in service.addresses
            ],
        )
        for service in upstreams
    ]


def _of_kafka(config: Config, topics: Topics) -> Sequence[Dependency]:
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


def route_states(
    config: Config, topics: Topics, upstreams: Upstreams, stage_of: Callable[[str], Mapping[str, Any] | None]
) -> Mapping[str, RouteState]:
    """What the clients of a route get now, where it is not served; and where it is on its way, at which stage."""
    states = dict(_troubled(config, topics, upstreams))
    for route in config.routes:
        if route.migrate:
            states[route.name] = replace(states.get(route.name, RouteState()), migration=stage_of(route.name))
    return states


def _troubled(config: Config, topics: Topics, upstreams: Upstreams) -> Iterator[tuple[str, RouteState]]:
    state = topics.state()
    for route in config.routes:
        missing = sorted(set(topics_of(route)) & set(state.missing))
        if route.upstream and (trouble := troubles(upstreams[route.upstream])):
            yield route.name, RouteState("upstream_unavailable", "; ".join(trouble))
        elif topics_of(route) and not state.reachable:
            yield route.name, RouteState("kafka_unavailable", "No broker answers.")
        elif lacks := _lacks(route, topics):
            yield route.name, RouteState("kafka_forbids", f"The bridge lacks {in_words(lacks)} in Kafka: grant it.")
        elif missing:
            yield route.name, RouteState("topic_missing", f"Kafka has no {', '.join(missing)}: create it.")


def _lacks(route: Route, topics: Topics) -> Rights:
    """What the route cannot do without, and the cluster does not let it do."""
    lacks = {each: wanted & topics.lacks.get(each, frozenset()) for each, wanted in needed_by(route).items()}
    return {each: wanted - DISPENSABLE for each, wanted in lacks.items() if wanted - DISPENSABLE}


def produce_samples(queues: ProduceQueues) -> Iterator[Sample]:
    for topic, (records, size_bytes, batches) in queues.by_topic().items():
        yield Sample("stepbridge_produce_queue_records", {"topic": topic}, records)
        yield Sample("stepbridge_produce_queue_bytes", {"topic": topic}, size_bytes)
        yield Sample("stepbridge_batches_in_flight", {"topic": topic}, batches)
