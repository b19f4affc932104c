"""What a cluster's answers mean for a configuration. Pure: the questions are asked in `live.py`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from proxy.config.kafka_rights import Rights, lacking, needed
from proxy.config.model import Config, Produce, Route
from proxy.kafka.questions import ClusterAnswer, SettingsAnswer, TopicSettings
from proxy.record import Topic


@dataclass(frozen=True, slots=True)
class Finding:
    """One line for the operator: what was looked at, how it is, and what to do where it is not well."""

    level: Literal["ok", "warn", "fail"]
    subject: str
    detail: str


def judge(config: Config, cluster: ClusterAnswer, settings: SettingsAnswer) -> list[Finding]:
    """Everything worth saying, topic by topic in the order of their names."""
    findings = [_brokers(config, cluster)]
    for name in topics_of(config):
        topic = cluster.topics.get(name)
        if topic is None:
            findings.append(_absent(name, config, forbidden=name in cluster.forbidden))
        else:
            findings += _present(topic, config, cluster, settings)
    return findings


def topics_of(config: Config) -> list[str]:
    """Every topic that a route names."""
    written = {route.produce.topic for route in config.routes if route.produce}
    read = {topic for route in config.routes if route.consume for topic in route.consume.topics}
    return sorted(written | read)


def _brokers(config: Config, cluster: ClusterAnswer) -> Finding:
    servers = config.kafka.bootstrap_servers
    if cluster.brokers == 1:
        return Finding("warn", "kafka", f"one broker at {servers}: without it nothing is written, and its disk is all")
    return Finding("ok", "kafka", f"{cluster.brokers} brokers at {servers}")


def _absent(name: str, config: Config, *, forbidden: bool) -> Finding:
    if forbidden:
        return Finding("fail", name, "the cluster does not let us see it: grant DESCRIBE on the topic")
    if config.topics.create:
        return Finding("warn", name, "does not exist; it is made when it is first used, with the brokers' defaults")
    return Finding("fail", name, "does not exist: create it, or say topics: {create: true}")


def _present(topic: Topic, config: Config, cluster: ClusterAnswer, answer: SettingsAnswer) -> Iterator[Finding]:
    name = topic.name
    settings = answer.settings.get(name)
    copies = f"partitions {topic.partitions}, replicas {topic.replicas}"
    if settings is None:
        reason = answer.refused.get(name, "no answer")
        yield Finding("ok", name, copies)
        yield Finding("warn", name, f"its settings cannot be read ({reason}): grant DESCRIBE_CONFIGS, else we guess")
        return
    yield Finding("ok", name, f"{copies}, min.insync.replicas {settings.min_insync_replicas}")
    writers = [(route, route.produce) for route in config.routes if route.produce and route.produce.topic == name]
    if writers and cluster.brokers > 1:
        yield from _durability(topic, settings)
    for route, produce in writers:
        yield from _writing(route, produce, topic, settings, config)


def _durability(topic: Topic, settings: TopicSettings) -> Iterator[Finding]:
    least = settings.min_insync_replicas
    if least > topic.replicas:
        yield Finding("fail", topic.name, f"min.insync.replicas {least} of {topic.replicas}: nothing can be written")
    elif topic.replicas == 1:
        yield Finding("warn", topic.name, "has one replica: a lost disk loses its records")
    elif least == 1:
        yield Finding("warn", topic.name, "a 201 may rest on one broker alone: set min.insync.replicas to 2")
    elif least == topic.replicas:
        yield Finding(
            "warn", topic.name, "one broker down stops all writes: have more replicas than min.insync.replicas"
        )


def _writing(
    route: Route, produce: Produce, topic: Topic, settings: TopicSettings, config: Config
) -> Iterator[Finding]:
    if settings.compacted and produce.key is None:
        yield Finding("fail", topic.name, f"is compacted, and {route.name} has no key: every request gets 422")
    body_bytes = route.limits.max_body_bytes or config.limits.max_body_bytes
    if body_bytes > settings.max_message_bytes:
        limits = f"{body_bytes} bytes, the topic batches up to {settings.max_message_bytes}"
        yield Finding("warn", topic.name, f"{route.name} takes bodies up to {limits}: what lies between gets 413")
    if settings.log_append_time and produce.timestamp is not None:
        yield Finding("warn", topic.name, f"stamps records itself: the timestamp of {route.name} is lost")
    if produce.partition is not None and produce.partition.isdigit() and int(produce.partition) >= topic.partitions:
        yield Finding("fail", topic.name, f"has no partition {produce.partition}, where {route.name} writes")


def rights(config: Config, held: Rights) -> list[tuple[str, str, str]]:
    """The ACLs that the file needs: a resource, the operations on it, and those that the cluster does not allow."""
    wanted = needed(config)
    missing = lacking(wanted, held)
    return [
        (resource, ", ".join(sorted(operations)), _standing(resource, missing, held))
        for resource, operations in sorted(wanted.items())
    ]


def _standing(resource: str, missing: Rights, held: Rights) -> str:
    if resource in missing:
        return f"lacks {', '.join(sorted(missing[resource]))}"
    return "allowed" if resource in held else "not known"
