"""What is counted, and how it leaves."""

from collections.abc import Callable, Iterable

import pytest

from proxy.observe.catalogue import BOUNDS_S, FAMILIES
from proxy.observe.exposition import render
from proxy.observe.metrics import Distribution, Metrics, Sample


def text(metrics: Metrics) -> str:
    return render(metrics.snapshot(), "")[0].decode()


def test_each_status_of_a_route_is_counted_apart() -> None:
    metrics = Metrics()
    for status in (201, 201, 503):
        metrics.route("orders").answered(status, 0.004)
    assert 'stepbridge_requests_total{route="orders",status="201"} 2.0\n' in text(metrics)
    assert 'stepbridge_requests_total{route="orders",status="503"} 1.0\n' in text(metrics)


def test_a_route_asked_for_twice_is_the_same_object() -> None:
    metrics = Metrics()
    assert metrics.route("orders") is metrics.route("orders")
    assert metrics.route("orders") is not metrics.route("sales")


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (60.0, len(BOUNDS_S) - 1), (61.0, len(BOUNDS_S))]
)
def test_a_bound_belongs_to_its_own_bucket(seconds: float, bucket: int) -> None:
    distribution = Distribution()
    distribution.observe(seconds)
    assert [index for index, count in enumerate(distribution.counts) if count] == [bucket]


def test_a_histogram_is_exposed_cumulated_with_its_sum_and_count() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.004, 100.0):
        metrics.route("orders").answered(201, seconds)
    lines = text(metrics).splitlines()
    assert 'stepbridge_request_seconds_bucket{le="0.001",route="orders"} 1.0' in lines
    assert 'stepbridge_request_seconds_bucket{le="60.0",route="orders"} 2.0' in lines
    assert 'stepbridge_request_seconds_bucket{le="+Inf",route="orders"} 3.0' in lines
    assert 'stepbridge_request_seconds_count{route="orders"} 3.0' in lines
    assert 'stepbridge_request_seconds_sum{route="orders"} 100.0045' in lines


def test_records_and_bytes_are_told_by_direction_and_outcome() -> None:
    metrics = Metrics()
    route = metrics.route("orders")
    route.produced("written", 3, 750, 0.003)
    route.produced("unknown", 1, 250, 10.0)
    route.delivered(2, 500)
    lines = text(metrics).splitlines()
    assert 'stepbridge_records_total{direction="in",outcome="written",route="orders"} 3.0' in lines
    assert 'stepbridge_bytes_total{direction="in",outcome="written",route="orders"} 750.0' in lines
    assert 'stepbridge_records_total{direction="in",outcome="unknown",route="orders"} 1.0' in lines
    assert 'stepbridge_records_total{direction="out",outcome="delivered",route="orders"} 2.0' in lines
    assert 'stepbridge_produce_seconds_count{outcome="unknown",route="orders"} 1.0' in lines


def test_a_record_that_was_never_queued_has_no_duration() -> None:
    metrics = Metrics()
    metrics.route("orders").produced("not_written", 1, 250)
    assert 'stepbridge_records_total{direction="in",outcome="not_written",route="orders"} 1.0\n' in text(metrics)
    assert "stepbridge_produce_seconds_count" not in text(metrics)


def test_gauges_of_a_route_are_what_they_are_now() -> None:
    metrics = Metrics()
    route = metrics.route("feed")
    route.open_streams += 2
    route.open_streams -= 1
    assert 'stepbridge_open_streams{route="feed"} 1.0\n' in text(metrics)


def test_kafka_errors_are_counted_by_operation_and_error() -> None:
    metrics = Metrics()
    metrics.kafka_error("send", "NotEnoughReplicasError")
    assert 'stepbridge_kafka_errors_total{error="NotEnoughReplicasError",operation="send"} 1.0\n' in text(metrics)


def test_what_a_source_no_longer_yields_is_gone_from_the_next_scrape() -> None:
    metrics = Metrics()
    owned = [0, 1]
    metrics.add_source(
        lambda: [
            Sample(
                "stepbridge_group_lag_records", {"group": "pricing", "topic": "stock", "partition": str(partition)}, 7
            )
            for partition in owned
        ]
    )
    assert 'stepbridge_group_lag_records{group="pricing",partition="1",topic="stock"} 7.0' in text(metrics)
    owned.remove(1)
    assert 'partition="0"' in text(metrics)
    assert 'partition="1"' not in text(metrics)


def test_a_removed_source_is_not_asked_again() -> None:
    metrics = Metrics()

    def source() -> Iterable[Sample]:
        return [Sample("stepbridge_kafka_up", {}, 1)]

    metrics.add_source(source)
    metrics.remove_source(source)
    metrics.remove_source(source)
    assert "stepbridge_kafka_up 1.0" not in text(metrics)


@pytest.mark.parametrize(
    "bad",
    [
        Sample("stepbridge_unheard_of", {}, 1),
        Sample("stepbridge_kafka_up", {"broker": "1"}, 1),
        Sample("stepbridge_produce_queue_records", {"queue": "orders"}, 1),
    ],
)
def test_a_source_that_yields_what_is_not_in_the_catalogue_is_logged_and_the_others_are_scraped(
    bad: Sample, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    metrics.add_source(lambda: [bad])
    metrics.add_source(lambda: [Sample("stepbridge_ready", {}, 1)])
    assert "stepbridge_ready 1.0\n" in text(metrics)
    assert [record.message for record in caplog.records] == ["metrics_source_failed"]


def test_a_snapshot_has_every_metric_of_the_catalogue_under_its_label_values() -> None:
    metrics = Metrics()
    metrics.route("orders").answered(201, 0.002)
    snapshot = metrics.snapshot()
    assert snapshot.numbers["stepbridge_requests_total"] == {("orders", "201"): 1}
    assert sum(snapshot.distributions["stepbridge_request_seconds"]["orders",].counts) == 1
    assert {*snapshot.numbers, *snapshot.distributions} == {family.name for family in FAMILIES}


def test_a_snapshot_stays_as_it_was_while_the_bridge_works_on() -> None:
    metrics = Metrics()
    work: tuple[Callable[[], None], ...] = (
        lambda: metrics.loop_lag(0.5),
        lambda: metrics.route("orders").answered(201, 0.002),
        lambda: metrics.route("orders").produced("written", 1, 250, 0.002),
        lambda: metrics.route("orders").delivered(1, 250),
        lambda: metrics.kafka_error("send", "KafkaTimeoutError"),
    )
    for once in work:
        once()
    snapshot = metrics.snapshot()
    before = str(snapshot)
    for again in work:
        again()
    assert str(snapshot) == before
