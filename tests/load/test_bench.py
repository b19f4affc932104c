"""The bench itself, once through, on a real broker: every candidate gives every figure. No figure is judged here."""

import asyncio
from pathlib import Path

import pytest

from tests.kafka.cluster import Kafka
from tests.load.aims import FORMS
from tests.load.bench import MEASURES
from tests.load.candidates import build_go
from tests.load.plan import WAYS, Plan, Size
from tests.load.session import Session
from tests.load.topics import Topics

SHORT = Plan(
    connections=(1, 8),
    rounds=1,
    warmup_s=0.1,
    window_s=0.2,
    batch_connections=4,
    batch_rounds=1,
    overload_in_flight=4,
    overload_connections=32,
    overload_rounds=1,
    overload_window_s=0.3,
    drain_records=3_000,
    drain_rounds=1,
    group_records={1: 1_000, 8: 3_000},
    group_rounds=1,
    arrival_records=100,
    arrival_rounds=1,
    sse_clients=5,
    sse_events=25,
    sse_rounds=1,
    crowds=(Size(20, 10, 10.0),),
    slow_size=Size(20, 10, 10.0),
    slow_backlog=30_000,
    slow_rounds=1,
    starts=1,
    route_rounds=1,
    route_connections=4,
    workers_connections=4,
    workers_rounds=1,
    passthrough_connections=4,
    passthrough_rounds=1,
)
ROUTES = {"literal-1", "literal-1000", "templated-1", "templated-1000"}


@pytest.mark.long
@pytest.mark.needs("go")
@pytest.mark.timeout(180)
async def test_every_candidate_gives_every_figure(kafka: Kafka, tmp_path: Path) -> None:
    binary = build_go(tmp_path)
    assert isinstance(binary, Path), binary
    async with Topics(kafka, "bench-test") as topics:
        session = Session(SHORT, topics, tmp_path, with_bridge=True, go=binary)
        results = {section: await measure(session) for section, measure in MEASURES.items()}
    assert session.failures == []
    assert [set(rounds) for rounds in results["produce"].values()] == [{"bridge", "bare", "minimal", "go"}] * 2
    assert {form: set(rounds) for form, rounds in results["batch"].items()} == {
        form: {"bridge", "go"} for form in FORMS
    }
    assert {limit: set(rounds) for limit, rounds in results["overload"].items()} == {
        "in_flight": {"bridge"},
        "rate": {"bridge"},
    }
    assert set(results["drain"]) == {f"{name}-{way}" for name in ("bridge", "go") for way in WAYS}
    assert {readers: set(rounds) for readers, rounds in results["group"].items()} == {
        readers: {"bridge", "workers-2", "go"} for readers in ("1", "8")
    }
    assert set(results["arrival"]) == {"bridge", "workers-2", "replicas", "go"}
    assert {name: rounds[0]["delivered_share"] for name, rounds in results["sse"].items()} == dict.fromkeys(
        ("bridge", "bridge-filtered", "go"), 1
    )
    (crowd,) = results["crowd"].values()
    assert {name: rounds[0]["delivered_share"] for name, rounds in crowd.items()} == dict.fromkeys(
        ("bridge", "broadcast", "go"), 1
    )
    assert {name: rounds[0]["delivered_share"] for name, rounds in results["slow"].items()} == dict.fromkeys(
        ("slow-none", "slow-one"), 1
    )
    assert results["slow"]["slow-one"][0]["slow_lost"] == 0
    assert set(results["start"]) == {"bridge", "minimal", "go"}
    assert set(results["routes"]) == ROUTES
    assert set(results["workers"]) == {"workers-1", "workers-2"}
    assert {"bridge", "forwarder"} <= set(results["passthrough"])


@pytest.mark.long
async def test_the_topics_of_a_run_are_gone_afterwards(kafka: Kafka) -> None:
    async with Topics(kafka, "bench-gone") as topics:
        topic = await topics.make("some")
        await topics.fill(topic, 100)
        assert await topics.count(topic) == 100
        assert topic in await kafka.list_topics()
    async with asyncio.timeout(10):
        while topic in await kafka.list_topics():
            pass  # the controller has removed it; the broker hears of it
