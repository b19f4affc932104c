"""The readiness report of one route: whether it may climb, and what stands against it.

Its numbers are those of the metrics, which add up over workers and outlive them. What no metric can hold (examples,
callers, fine latencies) each process that runs notes down, and here the notes add up. All are plain JSON.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from proxy.migrate.account import Account
from proxy.migrate.latency import quantile_ms
from proxy.migrate.losses import KEPT
from proxy.migrate.shadow import Shadow
from proxy.migrate.stages import STAGES
from proxy.observe.metrics import Distribution, Sample, Snapshot

MOST_CALLERS = 100  # that are listed
MOST_KINDS = 50

Json = Mapping[str, Any]


# ---- what one process tells


def samples(account: Account) -> Iterator[Sample]:
    """The numbers, for the metrics."""
    route = {"route": account.route}
    for stage in STAGES:
        yield _sample("requests_total", account.requests[stage], route, stage=stage)
    yield _sample("shadow_written_total", account.produced, route)
    yield _sample("last_loss_timestamp_seconds", (account.last_loss or 0) / 1000, route)
    yield _sample("old_path_callers", len(account.callers), route)
    yield _sample("seconds", account.legacy.took, route, side="legacy")
    yield _sample("seconds", account.kafka.took, route, side="kafka")
    for reason, count in account.losses.items():
        yield _sample("losses_total", count, route, reason=reason)
    for at, count in account.violations.items():
        yield _sample("violations_total", count, route, stage=at)
    for case, count in account.divergences.items():
        yield _sample("divergences_total", count, route, case=case)
    yield _sample("compared_total", account.compared_same, route, result="same")
    yield _sample("compared_total", account.compared_different, route, result="different")
    for reason, count in account.compared_skipped.items():
        yield _sample("compared_total", count, route, result=reason)


def losses(shadow: Shadow) -> list[dict[str, Any]]:
    """The newest first."""
    return [loss.as_json() for loss in shadow.losses.newest()]


def _sample(name: str, value: float | Distribution, route: Mapping[str, str], **labels: str) -> Sample:
    return Sample(f"stepbridge_migration_{name}", {**route, **labels}, value)


# ---- and all of them together


def report(route: str, snapshot: Snapshot, notes: Sequence[Json]) -> dict[str, Any]:
    """What people and `migrate report` read. `snapshot`: of all processes; `notes`: of each that runs."""
    number = _Numbers(route, snapshot)
    return {
        "route": route,
        "requests": _requests(number),
        "shadow": _shadow(number),
        "violations": {
            "by_stage": number.by("migration_violations_total"),
            "kinds": together(each["violations"] for each in notes),
        },
        "dual": _dual(number),
        "latency": {side: _latency(side, notes) for side in ("legacy", "kafka")},
        "callers": _callers(notes),
        "compared": _compared(number, notes),
    }


class _Numbers:
    """One route's metrics, without `stepbridge_` in front of their names."""

    def __init__(self, route: str, snapshot: Snapshot) -> None:
        self._route = route
        self._snapshot = snapshot

    def by(self, name: str) -> dict[str, int]:
        """By the label after the route."""
        values = self._snapshot.numbers[f"stepbridge_{name}"]
        return {labels[1]: int(value) for labels, value in values.items() if labels[0] == self._route}

    def one(self, name: str) -> float:
        return self._snapshot.numbers[f"stepbridge_{name}"].get((self._route,), 0)


def _requests(number: _Numbers) -> dict[str, Any]:
    by_stage = number.by("migration_requests_total")
    total = sum(by_stage.values())
    stages = {
        stage: {"requests": by_stage.get(stage, 0), "share": _ratio(by_stage.get(stage, 0), total)} for stage in STAGES
    }
    return {"total": total, "by_stage": stages}


def _shadow(number: _Numbers) -> dict[str, Any]:
    written, lost = int(number.one("migration_shadow_written_total")), number.by("migration_losses_total")
    ended = written + sum(lost.values())
    return {
        "written": written,
        "lost": sum(lost.values()),
        "success_ratio": _ratio(written, ended),
        "violations_ratio": _ratio(number.by("migration_violations_total").get("shadow", 0), ended),
        "losses_by_reason": lost,
        "last_loss_ms": int(number.one("migration_last_loss_timestamp_seconds") * 1000) or None,
        "depth": int(number.one("shadow_queued")),
        "bound": int(number.one("shadow_queue_limit")),
        "unknown": int(number.one("shadow_unknown")),
    }


def _dual(number: _Numbers) -> dict[str, Any]:
    cases, parted = number.by("dual_writes_total"), number.by("migration_divergences_total")
    return {"requests": sum(cases.values()), "diverged": sum(parted.values()), "by_case": cases, "parted": parted}


def _latency(side: str, notes: Sequence[Json]) -> dict[str, Any]:
    """Of the processes that run, and their last requests: what was long ago fades."""
    counts: Counter[str] = Counter()
    for each in notes:
        counts.update(each[side])
    return {"count": counts.total(), "p50_ms": quantile_ms(counts, 0.5), "p99_ms": quantile_ms(counts, 0.99)}


def _callers(notes: Sequence[Json]) -> dict[str, Any]:
    called: dict[str, dict[str, Any]] = {}
    for each in (caller for note in notes for caller in note["callers"]):
        known = called.setdefault(each["caller"], {**each, "requests": 0})
        known["requests"] += each["requests"]
        known["last_ms"] = max(known["last_ms"], each["last_ms"])
    latest = sorted(called.values(), key=lambda each: (-each["last_ms"], each["caller"]))
    forgotten = sum(note["callers_forgotten"] for note in notes)
    return {"known": len(called), "forgotten": forgotten, "latest": latest[:MOST_CALLERS]}


def _compared(number: _Numbers, notes: Sequence[Json]) -> dict[str, Any]:
    results = number.by("migration_compared_total")
    same, different = results.pop("same", 0), results.pop("different", 0)
    return {
        "same": same,
        "different": different,
        "same_ratio": _ratio(same, same + different),
        "skipped": results,
        "mismatches": together(note["mismatches"] for note in notes),
        "noise": together(note["noise"] for note in notes),
    }


def together(lists: Iterable[Sequence[Json]]) -> list[dict[str, Any]]:
    """Kinds (`kinds.py`) of several processes: counts added up, the newest example of each, the most frequent first."""
    found: dict[str, dict[str, Any]] = {}
    for each in (each for told in lists for each in told):
        known = found.get(each["kind"])
        if known is None:
            found[each["kind"]] = dict(each)
            continue
        newer = max(known, each, key=lambda one: one["example_ms"])
        known |= {
            "count": known["count"] + each["count"],
            "last_ms": max(known["last_ms"], each["last_ms"]),
            "example": newer["example"],
            "example_ms": newer["example_ms"],
        }
    return sorted(found.values(), key=lambda each: (-each["count"], each["kind"]))[:MOST_KINDS]


def losses_together(lists: Iterable[Sequence[Json]]) -> list[Json]:
    """The newest first, at most KEPT."""
    return sorted((loss for told in lists for loss in told), key=lambda loss: -int(loss["time_ms"]))[:KEPT]


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
