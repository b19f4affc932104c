"""What a worker's process uses, told as that worker's: the supervisor cannot sum up `process_*` of the dead."""

from collections.abc import Iterator

from prometheus_client import ProcessCollector

from proxy.observe.metrics import Sample, Source

_NAMES = {
    "process_cpu_seconds_total": "stepbridge_worker_cpu_seconds_total",
    "process_resident_memory_bytes": "stepbridge_worker_resident_memory_bytes",
}


def usage(worker: int) -> Source:
    """CPU time and memory of this process. Nothing where there is no /proc."""
    collector = ProcessCollector(registry=None)

    def samples() -> Iterator[Sample]:
        for metric in collector.collect():
            for sample in metric.samples:
                if sample.name in _NAMES:
                    yield Sample(_NAMES[sample.name], {"worker": str(worker)}, sample.value)

    return samples
