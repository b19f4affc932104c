"""A snapshot as Prometheus text or OpenMetrics, as the scraper's `Accept` header asks."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from proxy.observe.catalogue import BOUNDS_S, FAMILIES, Family
from proxy.observe.metrics import Distribution, Snapshot

_BUCKETS = (*map(str, BOUNDS_S), "+Inf")
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
            for values, value in self._snapshot[family.name].items():
                _add(metric, family, dict(zip(family.labels, values, strict=True)), value)
            yield metric
        yield from _process.collect()


def _add(metric: Metric, family: Family, labels: dict[str, str], value: float | Distribution) -> None:
    if not isinstance(value, Distribution):
        metric.add_sample(family.name, labels, value)
        return
    for bound, count in zip(_BUCKETS, accumulate(value.counts), strict=True):
        metric.add_sample(f"{family.name}_bucket", labels | {"le": bound}, count)
    metric.add_sample(f"{family.name}_count", labels, sum(value.counts))
    metric.add_sample(f"{family.name}_sum", labels, value.sum_s)
