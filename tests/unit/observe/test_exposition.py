"""The text that scrapers read, checked with prometheus_client's own parsers."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from proxy.observe.catalogue import FAMILIES, Kind
from proxy.observe.exposition import render
from proxy.observe.metrics import Distribution, Metrics, Sample

VALUES: dict[Kind, float | Distribution] = {Kind.GAUGE: 1, Kind.COUNTER: 1, Kind.HISTOGRAM: Distribution()}


@pytest.fixture
def metrics() -> Metrics:
    """A bridge in which every metric has a value."""
    metrics = Metrics()
    route = metrics.route("orders")
    route.answered(201, 0.004)
    route.produced("written", 1, 250, 0.003)
    route.delivered(1, 250)
    metrics.upstream("legacy").first_byte_s.observe(0.02)
    metrics.kafka_error("send", "KafkaTimeoutError")
    metrics.loop_lag(0.0002)
    metrics.add_source(
        lambda: [
            Sample(family.name, dict.fromkeys(family.labels, "x"), VALUES[family.kind])
            for family in FAMILIES
            if family.kind in VALUES
        ]
    )
    return metrics


def test_prometheus_text_declares_and_holds_every_metric_of_the_catalogue(metrics: Metrics) -> None:
    body, content_type = render(metrics.snapshot(), "text/plain")
    families = {family.name: family for family in parse_text(body.decode())}
    assert content_type.startswith("text/plain; version=0.0.4")
    for family in FAMILIES:
        name = family.stem if family.kind is Kind.COUNTER else family.name
        assert families[name].type == ("gauge" if family.kind is Kind.INFO else family.kind)
        assert families[name].documentation == family.help
        assert families[name].samples


def test_openmetrics_is_given_to_whoever_asks_for_it_and_has_the_units(metrics: Metrics) -> None:
    body, content_type = render(metrics.snapshot(), "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    families = {family.name: family for family in parse_openmetrics(body.decode())}  # type: ignore[no-untyped-call]
    assert content_type.startswith("application/openmetrics-text")
    for family in FAMILIES:
        assert (families[family.stem].type, families[family.stem].unit) == (family.kind, family.unit)
        assert families[family.stem].samples


def test_labels_are_the_declared_ones(metrics: Metrics) -> None:
    body, _ = render(metrics.snapshot(), "")
    declared = {family.stem: set(family.labels) for family in FAMILIES} | {
        "stepbridge_build_info": {"version", "python"}
    }
    for family in parse_text(body.decode()):
        if family.name in declared:
            for sample in family.samples:
                assert set(sample.labels) - {"le"} == declared[family.name]


def test_the_process_itself_is_measured(metrics: Metrics) -> None:
    families = {family.name for family in parse_text(render(metrics.snapshot(), "")[0].decode())}
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "process_open_fds"} <= families


def test_a_label_cannot_break_its_line() -> None:
    metrics = Metrics()
    metrics.route('or"de\nrs\\').answered(201, 0.001)
    families = {family.name: family for family in parse_text(render(metrics.snapshot(), "")[0].decode())}
    assert families["stepbridge_requests"].samples[0].labels["route"] == 'or"de\nrs\\'
