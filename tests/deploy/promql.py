"""Metrics and labels in PromQL and in prose, held against the catalogue of what the bridge exports."""

import re
from collections.abc import Iterator

from proxy.observe.catalogue import BY_NAME, Family, Kind

# What others export: prometheus_client of the process, Prometheus of its scrapes and alerts. Names and labels.
FOREIGN = {
    "process_cpu_seconds_total": set[str](),
    "process_resident_memory_bytes": set[str](),
    "up": set[str](),
}
OF_THE_SCRAPE = {"job", "instance", "namespace", "pod", "service"}
_NAME = re.compile(r"\b(?:stepbridge|process)_[a-z_]+\b|\bup\b(?=[{\s])")
_SELECTOR = re.compile(r"\b((?:stepbridge|process)_[a-z_]+|up)\{([^}]*)\}")
_BY = re.compile(r"\b(?:by|without) \(([^)]*)\) (?=\()")


def family(name: str) -> Family | None:
    """The metric that a series belongs to; a histogram's has an ending of its own."""
    found = BY_NAME.get(re.sub(r"_(bucket|sum|count)$", "", name))
    if found is None or (name != found.name and found.kind is not Kind.HISTOGRAM):
        return BY_NAME.get(name)
    return found


def metrics(text: str) -> set[str]:
    return set(_NAME.findall(text))


def labels_of(name: str) -> set[str]:
    """Every label that a series of this name may have."""
    if name in FOREIGN:
        return FOREIGN[name] | OF_THE_SCRAPE
    known = family(name)
    return (set(known.labels) | OF_THE_SCRAPE | {"le"}) if known else set()


def mistakes(query: str) -> Iterator[str]:
    """What in a query does not exist: metrics, labels in a selector, labels that it groups by."""
    used = metrics(query)
    for name in sorted(used - FOREIGN.keys()):
        known = family(name)
        if known is None:
            yield f"{name} is no metric"
        elif known.kind is Kind.HISTOGRAM and name == known.name:
            yield f"{name} is a histogram: its series are {name}_bucket, _sum and _count"
    for name, selector in _SELECTOR.findall(query):
        for label in re.findall(r"([a-z_]+)\s*(?:=|!)", selector):
            if label not in labels_of(name):
                yield f"{name} has no label {label}"
    for grouping in _BY.finditer(query):
        of = metrics(_bracketed(query[grouping.end() :]))
        for label in filter(None, (word.strip() for word in grouping[1].split(","))):
            yield from (f"{label} is not a label of {name}" for name in sorted(of) if label not in labels_of(name))


def _bracketed(text: str) -> str:
    """What stands in the bracket that the text begins with."""
    depth = 0
    for end, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[:end]
    return text
