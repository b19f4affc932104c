"""`stepbridge check` without a cluster, and with one that is away."""

import re
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run

GOOD = """\
kafka: {bootstrap_servers: "127.0.0.1:1"}
auth: none
routes:
  - route: POST /stores/{store}/stock
    name: report-stock
    produce: {topic: retail.stock-levels, key: "{path.store}:{body.sku}", timeout_ms: 2500}
    limits: {max_body_bytes: 1536}
  - route: GET /pricing/changes
    consume: {topics: [retail.stock-levels, retail.promotions], group: pricing}
  - route: GET /dashboard
    consume: {topics: [retail.sales]}
"""

TEN_MISTAKES = """\
kafka: {bootstrap_servers: nowhere}
autj: none
server: {host: 0.0.0.0, port: 123456}
limits: {max_body_bytes: -1}
routes:
  - route: FETCH /a
    produce: {topic: a}
  - route: POST /b
    produce: {topic: "b b"}
  - route: POST /c
    produce: {topic: c, key: "{boddy.x}"}
  - route: POST /d
    produce: {topic: d, timeout_ms: soon}
  - route: GET /e
  - route: GET /f
    consume: {topics: []}
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "bridge.yaml"
    file.write_text(GOOD)
    return file


def test_every_mistake_is_a_line_of_its_own_with_its_place(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(TEN_MISTAKES)
    code, out, err = run("check", "--config", file)
    lines = out.splitlines()
    assert (code, err) == (2, "")
    assert len(lines) >= 10
    for line in lines:
        assert re.match(rf"{re.escape(str(file))}:\d+:\d+: [a-z_.\[\]0-9]+: .+", line), line


def test_a_pipe_gets_one_line_a_route_in_columns(run: Run, good: Path) -> None:
    code, out, _ = run("check", "--config", good)
    rows = [re.split(r" {2,}", line) for line in out.splitlines()]
    assert code == 0
    assert rows == [
        ["NAME", "METHOD", "PATH", "KIND", "TOPICS", "GROUP", "KEY", "LIMITS"],
        [
            *("report-stock", "POST", "/stores/{store}/stock", "produce", "retail.stock-levels", "–"),
            *("{path.store}:{body.sku}", "1.5 KiB in 2.5 s"),
        ],
        [
            *("get-pricing-changes", "GET", "/pricing/changes", "consume", "retail.stock-levels,retail.promotions"),
            *("pricing", "–", "from earliest, ack explicit, lease 30 s"),
        ],
        ["get-dashboard", "GET", "/dashboard", "consume", "retail.sales", "–", "–", "from latest"],
    ]


@pytest.mark.usefixtures("terminal")
def test_a_terminal_gets_a_table_that_fits_it(run: Run, good: Path) -> None:
    code, out, _ = run("check", "--config", good)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert code == 0
    assert plain != out, "nothing is highlighted"
    assert max(map(len, plain.splitlines())) <= 80
    assert "POST /stores/{store}/stock" in plain
    assert "← retail.promotions" in plain


def test_a_route_that_passes_on_is_shown_with_where_to(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(
        "kafka: {bootstrap_servers: 'a:1'}\nauth: none\nupstreams: {old: {url: [http://a:1, http://b:2]}}\n"
        "routes: [{route: '* /{rest...}', name: rest, upstream: old}]\n"
    )
    code, out, _ = run("check", "--config", file)
    assert code == 0
    row = re.split(r" {2,}", out.splitlines()[1])
    assert row == ["rest", "*", "/{rest...}", "passthrough", "old", "–", "–", "http://a:1, http://b:2 in 30 s"]


def test_kafka_that_is_away_is_said_in_one_line(run: Run, good: Path) -> None:
    code, out, err = run("check", "--config", good, "--live")
    assert code == 1
    assert err == (
        "stepbridge: no Kafka broker answers at 127.0.0.1:1. Is it running, and is kafka.bootstrap_servers right?\n"
    )
    assert "report-stock" in out, "the routes are shown all the same"


def test_a_sample_needs_one_route_that_writes(run: Run, good: Path, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text("{}")
    code, _, err = run("check", "--config", good, "--live", "--sample", body, "--route", "get-dashboard")
    assert code == 1
    assert err == "stepbridge: no route that writes is named get-dashboard. There are: report-stock.\n"


def test_a_sample_that_cannot_be_read_is_said(run: Run, good: Path, tmp_path: Path) -> None:
    code, _, err = run("check", "--config", good, "--live", "--sample", tmp_path / "none.json")
    assert code == 1
    assert "none.json cannot be read: No such file or directory." in err
