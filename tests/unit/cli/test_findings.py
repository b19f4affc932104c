"""What a cluster's answers mean."""

from typing import Any

import pytest

from proxy.cli.findings import judge, rights
from proxy.config.model import Config
from proxy.kafka.questions import ClusterAnswer, SettingsAnswer, TopicSettings
from proxy.record import Topic

POST: dict[str, Any] = {"route": "POST /orders", "name": "post", "produce": {"topic": "orders", "key": "{query.id}"}}
ORDERS = Topic("orders", partitions=6, replicas=3)
SOUND = TopicSettings(min_insync_replicas=2)


def config(*routes: dict[str, Any], create: bool = False) -> Config:
    return Config.model_validate(
        {"kafka": {"bootstrap_servers": "k:9092"}, "auth": "none", "topics": {"create": create}, "routes": routes}
    )


def found(
    of: Config,
    *,
    topic: Topic | None = ORDERS,
    settings: TopicSettings | None = SOUND,
    brokers: int = 3,
    forbidden: frozenset[str] = frozenset(),
) -> list[tuple[str, str, str]]:
    """The findings on a cluster with, at most, the topic `orders`."""
    cluster = ClusterAnswer("id", brokers, 1, {topic.name: topic} if topic else {}, forbidden)
    answer = SettingsAnswer({"orders": settings}) if settings else SettingsAnswer(refused={"orders": "not allowed"})
    return [(one.level, one.subject, one.detail) for one in judge(of, cluster, answer)]


def test_a_sound_cluster_has_nothing_but_ok() -> None:
    assert found(config(POST)) == [
        ("ok", "kafka", "3 brokers at k:9092"),
        ("ok", "orders", "partitions 6, replicas 3, min.insync.replicas 2"),
    ]


def changed(**produce: Any) -> dict[str, Any]:
    return POST | {"produce": POST["produce"] | produce}


@pytest.mark.parametrize(
    ("route", "cluster", "level", "words"),
    [
        (POST, {"topic": None}, "fail", "does not exist"),
        (POST, {"topic": None, "forbidden": frozenset({"orders"})}, "fail", "grant DESCRIBE on the topic"),
        (POST, {"settings": None}, "warn", "cannot be read (not allowed): grant DESCRIBE_CONFIGS"),
        (POST, {"brokers": 1}, "warn", "one broker"),
        (POST, {"topic": Topic("orders", 6, replicas=1)}, "fail", "nothing can be written"),
        (
            POST,
            {"topic": Topic("orders", 6, replicas=1), "settings": TopicSettings(min_insync_replicas=1)},
            "warn",
            "one replica",
        ),
        (POST, {"settings": TopicSettings(min_insync_replicas=1)}, "warn", "one broker alone"),
        (POST, {"settings": TopicSettings(min_insync_replicas=3)}, "warn", "one broker down stops all writes"),
        (changed(key=None), {"settings": TopicSettings(1_048_588, True, False, 2)}, "fail", "post has no key"),
        (POST, {"settings": TopicSettings(1_000_000, False, False, 2)}, "warn", "bodies up to 1048576 bytes"),
        (changed(timestamp="{now}"), {"settings": TopicSettings(1_048_588, False, True, 2)}, "warn", "timestamp"),
        (changed(partition="6"), {}, "fail", "has no partition 6"),
    ],
)
def test_what_is_not_well_is_found(route: dict[str, Any], cluster: dict[str, Any], level: str, words: str) -> None:
    wrong = [(level, detail) for level, _, detail in found(config(route), **cluster) if level != "ok"]
    assert len(wrong) == 1
    assert wrong[0][0] == level
    assert words in wrong[0][1]


def test_what_is_well_is_not_complained_about() -> None:
    exact = POST | {"limits": {"max_body_bytes": 1_000_000}} | {"produce": {"topic": "orders", "partition": "5"}}
    settings = TopicSettings(1_000_000, compacted=False, log_append_time=True, min_insync_replicas=2)
    assert {level for level, *_ in found(config(exact), settings=settings)} == {"ok"}


def test_a_missing_topic_that_the_bridge_may_make_is_no_failure() -> None:
    assert ("warn", "orders") in [finding[:2] for finding in found(config(POST, create=True), topic=None)]


def test_a_topic_that_is_only_read_is_not_judged_as_written() -> None:
    reading = {"route": "GET /feed", "consume": {"topics": ["orders"]}}
    assert {level for level, *_ in found(config(reading), settings=TopicSettings(100, True, True, 3))} == {"ok"}


def test_rights_are_what_each_route_does() -> None:
    reading = {"route": "GET /restock", "consume": {"topics": ["orders", "sales"], "group": "shops"}}
    seen = {"DESCRIBE", "DESCRIBE_CONFIGS", "READ"}
    held = {"group shops": frozenset[str](), "topic orders": frozenset(seen), "topic sales": frozenset(seen)}
    assert rights(config(POST, reading, create=True), held) == [
        ("cluster", "CREATE", "not known"),
        ("group shops", "READ", "lacks READ"),
        ("topic orders", "DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE", "lacks WRITE"),
        ("topic sales", "DESCRIBE, DESCRIBE_CONFIGS, READ", "allowed"),
    ]
