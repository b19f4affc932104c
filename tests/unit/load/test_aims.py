"""Verdicts and tables from results that are known."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.load import minimal_bridge
from tests.load.aims import aims
from tests.load.plan import Plan
from tests.load.report import report


def _cost(*values: float) -> list[dict[str, Any]]:
    return [
        {
            "cpu_s_per_10k": value,
            "per_s": 12_345.6,
            "p50_ms": 14.06,
            "p99_ms": 133.42,
            "ack_p50_ms": 6.04,
            "ack_p99_ms": 21.5,
            "loader_busy": 0.4,
            "repeated": 0,
            "delivered_share": 1.0,
        }
        for value in values
    ]


def _start(seconds: float, rss_mb: float) -> list[dict[str, Any]]:
    return [{"started_s": seconds, "rss_mb": rss_mb, "pss_mb": rss_mb / 2}]


def _flood(share: float, grown: float, **more: Any) -> list[dict[str, Any]]:
    flood = _cost(0.4)[0] | {"share": share, "refused_per_s": 9_000.4, "refused_p50_ms": 1.0, "refused_p99_ms": 2.0}
    return [flood | {"rss_before_mb": 80.0, "rss_after_mb": 80.0 * grown} | more]


RESULTS = {
    "produce": {
        "1": {"bridge": _cost(2.5), "bare": _cost(0.2), "minimal": _cost(2.0)},
        "64": {"bridge": _cost(0.4, 0.5), "bare": _cost(0.2, 0.2), "minimal": _cost(0.3, 0.3), "go": _cost(0.3, 0.3)},
    },
    "batch": {"array": {"bridge": _cost(0.1), "go": _cost(0.05)}, "ndjson": {"bridge": _cost(0.1)}},
    "overload": {
        "in_flight": {"bridge": _flood(0.95, 1.0, peak=_cost(0.3)[0])},
        "rate": {"bridge": _flood(0.8, 1.25)},
    },
    "drain": {"bridge-position": _cost(0.05), "go-position": _cost(0.02), "bridge-group": _cost(0.06)},
    "group": {"8": {"bridge": _cost(0.06), "workers-2": _cost(0.08), "go": _cost(0.04)}, "64": {}},
    "arrival": {"bridge": _cost(0.5), "replicas": _cost(0.5)},
    "sse": {"bridge": _cost(0.3), "go": _cost(0.3)},
    "start": {"bridge": _start(0.7, 95.0), "go": _start(0.02, 11.0)},
    "workers": {"workers-1": _cost(0.4), "workers-2": _cost(0.44)},
    "routes": {"literal-1": _cost(0.4), "literal-1000": _cost(0.4), "templated-1": _cost(0.4)},
}


def test_each_aim_of_which_both_sides_were_measured_has_its_line() -> None:
    assert [str(aim) for aim in aims(RESULTS)] == [
        "aim ≤ 1.25× (b), POST at 1 connection: 1.25× ok (round by round 1.25×)",
        "aim ≤ 1.25× (b), POST at 64 connections: 1.5× MISSED (round by round 1.50×)",
        "aim ≤ 1.5× (c), POST at 64 connections: 1.5× ok (round by round 1.50×; stretch 1.25×: not reached)",
        "aim ≤ 2× (c), many records as a JSON array: 2× ok (round by round 2.00×; stretch 1.25×: not reached)",
        "aim ≤ 0.1, share of the peak lost at 3 times its load: 0.05 ok (by its CPU-seconds 0.25)",
        "aim ≤ 1.1× the beginning, memory at the end of that (in_flight): 1× ok",
        "aim ≤ 0.1, share of what the rate allows lost at 3 times its load: 0.2 MISSED",
        "aim ≤ 1.1× the beginning, memory at the end of that (rate): 1.25× MISSED",
        "aim ≤ 2× (c), drain without a group: 2.5× MISSED (round by round 2.50×; stretch 1.25×: not reached)",
        "aim ≤ 2× (c), SSE: 1× ok (round by round 1.00×; stretch 1.25×: reached)",
        "aim ≤ 0, share of SSE events not delivered: 0 ok",
        "aim ≤ 1 s, start to first answered request: 0.7 s ok",
        "aim ≤ 90 MB, idle memory (RSS): 95 MB MISSED",
        "aim ≤ 1.1× one, the last of 1,000 literal routes: 1× ok (round by round 1.00×)",
        "aim ≤ 1.15× one, POST with two workers: 1.1× ok (round by round 1.10×)",
        "aim ≤ 2× (c), 8 readers of a group: 1.5× ok (round by round 1.50×; stretch 1.25×: not reached)",
        "aim ≤ 1.15× one, 8 readers of a group with two workers: 1.333× MISSED (round by round 1.33×)",
        "aim ≤ 6 ms, POST to poll, p50: 14.06 ms MISSED",
        "aim ≤ 100 ms, POST to poll at another replica, p99: 133.4 ms MISSED",
    ]


def test_one_lost_event_in_any_round_misses_the_aim() -> None:
    lossy = {"sse": {"bridge": [*_cost(0.3), {**_cost(0.3)[0], "delivered_share": 0.9999}]}}
    assert [aim.met for aim in aims(lossy)] == [False]


def test_the_report_fits_a_terminal_and_tells_everything_that_was_measured() -> None:
    lines = report(RESULTS, Plan(), None, []).splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith("bridge") for line in lines) == 10
    assert any("12,346 (12,346–12,346)" in line and "0.450 (0.400–0.500)" in line for line in lines)


def test_what_gave_no_figure_is_said_in_the_report() -> None:
    text = report({}, Plan(), "Go not found: left out", ["drain, bridge: 409 lease_moved"])
    assert "(c) Go not found: left out" in text
    assert "NO FIGURE: drain, bridge: 409 lease_moved" in text


def test_the_minimal_bridge_stays_minimal() -> None:
    assert len(Path(minimal_bridge.__file__).read_text().splitlines()) <= 60


@pytest.mark.needs("go")
def test_the_go_bridge_is_formatted() -> None:
    source = Path(minimal_bridge.__file__).parent / "gobridge"
    told = subprocess.run(["gofmt", "-l", str(source)], capture_output=True, text=True, check=True)
    assert told.stdout == ""
