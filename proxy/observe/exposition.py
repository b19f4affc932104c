"""A snapshot as Prometheus text or OpenMetrics, as the scraper's `Accept` header asks."""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from proxy.observe.catalogue import BOUNDS_S, FAMILIES, Family
from proxy.observe.metrics import Distribution, Labels, Snapshot

_BUCKETS = (*map(str, BOUNDS_S), "+Inf")
V = TypeVar("V")
_process = ProcessCollector(registry=None)


def render(snapshot: Snapshot, accept: str) -> tuple[bytes, str]:
    """The body and its content type: OpenMetrics where `accept` (an HTTP header) names it, else Prometheus text."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry()
    registry.register(_Rendering(snapshot))
    return encode(registry), content_type


class _Rendering(Collector):
    """A snapshot as prometheus_client wants it, and this process's own metrics after it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            metric = Metric(family.stem, family.help, family.kind, family.unit)
            for labels, number in _labelled(family, self._snapshot.numbers):
                metric.add_sample(family.name, labels, number)
            for labels, distribution in _labelled(family, self._snapshot.distributions):
                _add_histogram(metric, labels, distribution)
            yield metric
        yield from _process.collect()


def _labelled(family: Family, values: Mapping[str, Mapping[Labels, V]]) -> Iterator[tuple[dict[str, str], V]]:
    for labels, value in values.get(family.name, {}).items():
        yield dict(zip(family.labels, labels, strict=True)), value


def _add_histogram(metric: Metric, labels: dict[str, str], distribution: Distribution) -> None:
    for bound, count in zip(_BUCKETS, accumulate(distribution.counts), strict=True):
        metric.add_sample(f"{metric.name}_bucket", labels | {"le": bound}, count)
    metric.add_sample(f"{metric.name}_count", labels, sum(distribution.counts))
    metric.add_sample(f"{metric.name}_sum", labels, distribution.sum_s)
