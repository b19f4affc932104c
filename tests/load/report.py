"""The tables, for a terminal of 100 columns. Pure."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from tests.load.aims import FORMS, aims, by_cpu, connections_as_text, ratio, readers_as_text
from tests.load.loader.payload import RECORDS
from tests.load.plan import WAYS, Plan
from tests.load.stats import Spread

LABELS = {
    "bridge": "bridge, full route",
    "bare": "(a) bare ASGI, 204",
    "broadcast": "(d) bare broadcast",
    "minimal": "(b) ASGI + aiokafka",
    "go": "(c) Go bridge",
    "bridge-position": "bridge, no group",
    "go-position": "(c) Go, no group",
    "bridge-group": "bridge, group with acks",
    "bridge-filtered": "10 filters, all pass",
    "go-group": "(c) Go, group",
    "literal-1": "1 literal route",
    "literal-1000": "1,000 literal routes",
    "templated-1": "1 templated route",
    "templated-1000": "1,000 templated routes",
    "workers-1": "1 worker",
    "workers-2": "2 workers",
    "replicas": "to another replica",
    "slow-none": "all keep up",
    "slow-one": "and one does not",
    "forwarder": "(e) aiohttp forwarder",
    "nginx": "nginx, one process",
}
WIDTH = 23
CPU = "CPU-s/10,000"

Results = dict[str, Any]
Rounds = Sequence[dict[str, Any]]


def report(results: Results, plan: Plan, go_missing: str | None, failures: Sequence[str]) -> str:
    """All tables of what was measured, then a line for each aim, then what failed."""
    lines = ["Medians (lowest–highest) of interleaved rounds. CPU is the server's, all threads."]
    if go_missing:
        lines.append(f"(c) {go_missing}")
    for section, show in TABLES.items():
        if measured := results.get(section):
            lines += show(measured, plan)
    lines += ["", *map(str, aims(results))]
    lines += [f"NO FIGURE: {failure}" for failure in failures]
    return "\n".join(lines)


def spread(rounds: Rounds, name: str, digits: int = 2) -> str:
    """`7,912 (7,700–8,010)`."""
    measured = Spread.of([one[name] for one in rounds])
    low, high = f"{measured.low:,.{digits}f}", f"{measured.high:,.{digits}f}"
    return f"{measured.median:,.{digits}f} ({low}–{high})"


def middle(rounds: Rounds, name: str) -> str:
    """The median alone."""
    return spread(rounds, name).partition(" ")[0]


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column is text, the others stand to the right; every column is as wide as its widest cell."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(1, len(head))]
    lines = []
    for first, *rest in (head, *rows):
        cells = (cell.rjust(width) for cell, width in zip(rest, widths, strict=True))
        lines.append("  ".join([first.ljust(WIDTH), *cells]).rstrip())
    return ["", title, *lines]


def _times(results: Results, ours: str, theirs: str) -> str:
    found = ratio(results, ours, theirs)
    return f"{found.of_medians:.2f}" if found else "–"


def _busy(results: Results) -> str:
    """How near to its own limit the loader came: near 100 % requests/s would be the loader's, not the server's."""
    most = max(one["loader_busy"] for rounds in results.values() for one in rounds)
    return f"loader ≤ {most:.0%} busy"


def _produce(connections: str, results: Results, plan: Plan) -> list[str]:
    rounds_of = f"{plan.rounds} rounds of {plan.window_s:g} s, {_busy(results)}"
    title = f"POST of 250 bytes, answered after the ack, {connections_as_text(connections)} ({rounds_of})"
    rows = [
        (
            LABELS[name],
            spread(rounds, "per_s", 0),
            middle(rounds, "p50_ms"),
            middle(rounds, "p99_ms"),
            spread(rounds, "cpu_s_per_10k", 3),
            _times(results, name, "minimal"),
            _times(results, name, "go"),
        )
        for name, rounds in results.items()
    ]
    return table(title, ("", "requests/s", "p50 ms", "p99 ms", CPU, "× (b)", "× (c)"), rows)


def _batch(form: str, results: Results, plan: Plan) -> list[str]:
    rounds_of = f"{connections_as_text(str(plan.batch_connections))}, {plan.batch_rounds} rounds, {_busy(results)}"
    title = f"POST of {RECORDS} records of 250 bytes as {FORMS[form]} ({rounds_of})"
    rows = [
        (
            LABELS[name],
            spread(rounds, "per_s", 0),
            middle(rounds, "p50_ms"),
            middle(rounds, "p99_ms"),
            spread(rounds, "cpu_s_per_10k", 3),
            _times(results, name, "go"),
        )
        for name, rounds in results.items()
    ]
    return table(title, ("", "records/s", "p50 ms", "p99 ms", CPU + " records", "× (c)"), rows)


OVERLOAD_TITLES = {
    "in_flight": "{factor:g} times the peak of {in_flight} connections, `in_flight: {in_flight}`",
    "rate": "{factor:g} times a rate that the file allows",
}


def _overload(limit: str, results: Results, plan: Plan) -> list[str]:
    """The peak, where it was measured, and below it what was offered beyond: those admitted, then those refused."""
    rounds = results["bridge"]
    title = OVERLOAD_TITLES[limit].format(factor=plan.overload_factor, in_flight=plan.overload_in_flight)
    peaks = [one["peak"] for one in rounds if "peak" in one]
    rows = []
    if peaks:
        rows.append(("the peak", spread(peaks, "per_s", 0), middle(peaks, "p50_ms"), middle(peaks, "p99_ms"), "–", "–"))
    shares = f"{median(one['share'] for one in rounds):.2f}"
    by_cpus = f"{median(by_cpu(one) for one in rounds):.2f}" if peaks else "–"
    rows.append(
        ("admitted", spread(rounds, "per_s", 0), middle(rounds, "p50_ms"), middle(rounds, "p99_ms"), shares, by_cpus)
    )
    refused = [one for one in rounds if one["refused_p50_ms"] is not None]
    if refused:
        middles = (middle(refused, "refused_p50_ms"), middle(refused, "refused_p99_ms"))
        rows.append(("refused", spread(refused, "refused_per_s", 0), *middles, "–", "–"))
    memory = f"RSS {middle(rounds, 'rss_before_mb')} MB, and {middle(rounds, 'rss_after_mb')} MB at the end"
    head = ("", "answers/s", "p50 ms", "p99 ms", "share", "by CPU")
    connections = f"{plan.overload_connections:,} connections; {memory}"
    return table(f"{title}\n({plan.overload_rounds} rounds of {plan.overload_window_s:g} s, {connections})", head, rows)


def _drain(results: Results, plan: Plan) -> list[str]:
    title = f"Drain of {plan.drain_records:,} records by one long-poll reader, max=1000 ({plan.drain_rounds} rounds)"
    rows = [
        (
            LABELS[name],
            spread(rounds, "per_s", 0),
            spread(rounds, "cpu_s_per_10k", 3),
            _times(results, name, "go-" + name.partition("-")[2]),
            str(max(one["repeated"] for one in rounds)),
        )
        for name, rounds in sorted(results.items(), key=lambda item: WAYS.index(item[0].partition("-")[2]))
    ]
    return table(title, ("", "records/s", CPU + " records", "× (c)", "repeated"), rows)


def _group(readers: str, results: Results, plan: Plan) -> list[str]:
    records = plan.group_records[int(readers)]
    rounds_of = f"{plan.group_rounds} rounds, {_busy(results)}"
    title = f"Group, {readers_as_text(readers)}, {records:,} records, 100 a poll and an ack\n({rounds_of})"
    rows = [
        (
            LABELS[name].partition(",")[0],
            middle(rounds, "per_s").partition(".")[0],
            middle(rounds, "ack_p50_ms"),
            middle(rounds, "ack_p99_ms"),
            spread(rounds, "cpu_s_per_10k", 3),
            _times(results, name, "bridge"),
            _times(results, name, "go"),
            str(max(one["repeated"] for one in rounds)),
        )
        for name, rounds in results.items()
    ]
    head = ("", "records/s", "ack p50", "p99 ms", CPU, "× one", "× (c)", "repeated")
    return table(title, head, rows)


def _arrival(results: Results, plan: Plan) -> list[str]:
    rate = f"{plan.arrival_per_s:g}/s, between replicas a tenth of it"
    title = f"From a POST to a poll that waits\n({rate}; {plan.arrival_rounds} rounds, {_busy(results)})"
    rows = [
        (
            LABELS[name].partition(",")[0],
            *(middle(rounds, figure) for figure in ("p50_ms", "p99_ms", "ack_p50_ms", "ack_p99_ms")),
            str(max(one["repeated"] for one in rounds)),
        )
        for name, rounds in results.items()
    ]
    return table(title, ("", "p50 ms", "p99 ms", "ack p50", "ack p99", "repeated"), rows)


def _sse(results: Results, plan: Plan) -> list[str]:
    title = (
        f"SSE: {plan.sse_clients} clients, {plan.sse_events_per_s:g} events/s for "
        f"{plan.sse_events / plan.sse_events_per_s:g} s ({plan.sse_rounds} rounds; {_busy(results)})"
    )
    rows = [
        (
            LABELS[name].partition(",")[0],
            f"{min(one['delivered_share'] for one in rounds):.4f}",
            str(max(one["repeated"] for one in rounds)),
            middle(rounds, "p50_ms"),
            middle(rounds, "p99_ms"),
            spread(rounds, "cpu_s_per_10k", 3),
            _times(results, name, "bridge"),
            _times(results, name, "go"),
        )
        for name, rounds in results.items()
    ]
    return table(title, ("", "delivered", "repeated", "p50 ms", "p99 ms", CPU, "× bridge", "× (c)"), rows)


def _crowd(clients: str, results: Results, plan: Plan) -> list[str]:
    size = next(size for size in plan.crowds if str(size.clients) == clients)
    events = f"{size.events_per_s:g} events/s for {size.events / size.events_per_s:g} s"
    rows = [
        (
            LABELS[name].partition(",")[0],
            f"{min(one['delivered_share'] for one in rounds):.4f}",
            str(max(one["repeated"] for one in rounds)),
            middle(rounds, "p50_ms"),
            middle(rounds, "p99_ms"),
            spread(rounds, "cpu_s_per_10k", 3),
            _times(results, name, "broadcast"),
            spread(rounds, "above_idle_mb", 0),
            middle(rounds, "kb_per_client"),
            middle(rounds, "live_s"),
        )
        for name, rounds in results.items()
    ]
    head = ("", "delivered", "repeated", "p50 ms", "p99 ms", CPU, "× (d)", "MB above idle", "KB a client", "all live s")
    return table(f"SSE: {size.clients:,} clients, {events} ({_busy(results)})", head, rows)


def _slow(results: Results, plan: Plan) -> list[str]:
    size = plan.slow_size
    rounds_of = f"{plan.slow_rounds} rounds, {_busy(results)}"
    title = f"SSE: {size.clients:,} clients that keep up, and one that hardly reads ({rounds_of})"
    rows = []
    for name, rounds in results.items():
        is_beside = "slow_behind" in rounds[0]
        behind = spread(rounds, "slow_behind", 0).partition(" ")[0] if is_beside else "–"
        lost = str(sum(one["slow_lost"] + one["slow_repeated"] for one in rounds)) if is_beside else "–"
        rows.append(
            (
                LABELS[name],
                str(min(one["delivered_share"] for one in rounds)),
                middle(rounds, "p50_ms"),
                middle(rounds, "p99_ms"),
                spread(rounds, "cpu_s_per_10k", 3),
                spread(rounds, "above_idle_mb", 0),
                behind,
                lost,
                middle(rounds, "slow_caught_up_s") if is_beside else "–",
            )
        )
    head = ("", "delivered", "p50 ms", "p99 ms", CPU, "MB above idle", "it is behind", "lost, twice", "reads all in s")
    return table(title, head, rows)


def _start(results: Results, plan: Plan) -> list[str]:
    title = "From exec to the first 201, and memory 1.5 s later (bridge: a retail file with two groups)"
    rows = [
        (LABELS[name], spread(rounds, "started_s"), spread(rounds, "rss_mb", 0), spread(rounds, "pss_mb", 0))
        for name, rounds in results.items()
    ]
    return table(title, ("", "seconds", "RSS MB", "PSS MB"), rows)


def _routes(results: Results, plan: Plan) -> list[str]:
    title = f"POST to the route written last, {plan.route_connections} connections ({plan.route_rounds} rounds)"
    rows: list[Sequence[str]] = []
    for name, rounds in results.items():
        alone = _times(results, name, name.partition("-")[0] + "-1")
        rows.append((LABELS[name], spread(rounds, "per_s", 0), spread(rounds, "cpu_s_per_10k", 3), alone))
    return table(title, ("", "requests/s", CPU, "× one"), rows)


def _workers(results: Results, plan: Plan) -> list[str]:
    offered = f"{plan.workers_share:.0%} of what one worker bears, {plan.workers_connections} connections"
    title = f"POST of 250 bytes, {offered} ({plan.workers_rounds} rounds, {_busy(results)})"
    rows = [
        (
            LABELS[name],
            spread(rounds, "per_s", 0),
            middle(rounds, "p50_ms"),
            middle(rounds, "p99_ms"),
            spread(rounds, "cpu_s_per_10k", 3),
            _times(results, name, "workers-1"),
        )
        for name, rounds in results.items()
    ]
    return table(title, ("", "requests/s", "p50 ms", "p99 ms", CPU, "× one"), rows)


def _passthrough(results: Results, plan: Plan) -> list[str]:
    rounds_of = f"{plan.passthrough_connections} connections, {plan.passthrough_rounds} rounds, {_busy(results)}"
    rows = [
        (
            LABELS[name].partition(", full")[0],
            spread(rounds, "per_s", 0),
            middle(rounds, "p50_ms"),
            middle(rounds, "p99_ms"),
            spread(rounds, "cpu_s_per_10k", 3),
            _times(results, name, "forwarder"),
        )
        for name, rounds in results.items()
    ]
    head = ("", "requests/s", "p50 ms", "p99 ms", CPU, "× (e)")
    return table(f"POST of 250 bytes passed on to a service, and its answer back ({rounds_of})", head, rows)


def _each(show: Callable[[str, Results, Plan], list[str]]) -> Callable[[Results, Plan], list[str]]:
    """A table for each of a section's parts that has figures."""

    def show_all(parts: Results, plan: Plan) -> list[str]:
        return [line for name, results in parts.items() if results for line in show(name, results, plan)]

    return show_all


TABLES: Mapping[str, Callable[[Results, Plan], list[str]]] = {
    "produce": _each(_produce),
    "batch": _each(_batch),
    "overload": _each(_overload),
    "drain": _drain,
    "group": _each(_group),
    "arrival": _arrival,
    "sse": _sse,
    "crowd": _each(_crowd),
    "slow": _slow,
    "start": _start,
    "routes": _routes,
    "workers": _workers,
    "passthrough": _passthrough,
}
