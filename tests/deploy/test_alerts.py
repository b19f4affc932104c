"""The alert rules: Prometheus reads them, each fires when it should and not when all is well, each says what to do."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.binaries import PROMTOOL
from tests.deploy.test_names import ALERTS, CHECKOUT, RULES

NAMES = [str(rule["alert"]) for rule in RULES]
RUNBOOK = CHECKOUT / "docs/runbook.md"
MINUTES = 90  # that a case lasts, longer than any alert waits

_GROUP = 'group="g"'
_PARTITION = 'group="g", topic="t", partition="0"'
_IN = 'direction="in", route="r", outcome'

# What is seen when all is well: series and their values, a minute each (promtool's notation).
WELL = {
    'up{job="stepbridge", instance="a"}': "1x90",
    'stepbridge_ready{instance="a"}': "1x90",
    'stepbridge_workers{instance="a"}': "2x90",
    'stepbridge_workers_up{instance="a"}': "2x90",
    'stepbridge_worker_restarts_total{instance="a"}': "1x90",
    'stepbridge_event_loop_lag_seconds_bucket{instance="a", le="0.01"}': "0+120x90",
    'stepbridge_event_loop_lag_seconds_bucket{instance="a", le="+Inf"}': "0+120x90",
    'stepbridge_build_info{instance="a", version="1"}': "1x90",
    'stepbridge_certificate_valid_from_timestamp_seconds{instance="a", section="server.tls"}': "0x90",
    'stepbridge_certificate_expires_timestamp_seconds{instance="a", section="server.tls"}': "7776000x90",
    'stepbridge_certificate_valid_from_timestamp_seconds{instance="a", section="peer.tls"}': "3000x90",
    'stepbridge_certificate_expires_timestamp_seconds{instance="a", section="peer.tls"}': "6600x90",
    'stepbridge_kafka_up{instance="a"}': "1x90",
    f'stepbridge_records_total{{{_IN}="written"}}': "0+6000x90",
    f'stepbridge_records_total{{{_IN}="not_written"}}': "5x90",
    f'stepbridge_records_total{{{_IN}="unknown"}}': "3x90",
    'stepbridge_produce_seconds_bucket{route="r", le="0.01"}': "0+6000x90",
    'stepbridge_produce_seconds_bucket{route="r", le="+Inf"}': "0+6000x90",
    'stepbridge_requests_total{route="r", status="201"}': "0+6000x90",
    'stepbridge_requests_total{route="r", status="503"}': "0+60x90",
    'stepbridge_limited_total{route="r", limit="rate"}': "0+6x90",
    'stepbridge_rate_uncounted_total{route="r", limit="rate"}': "0x90",
    'stepbridge_kafka_errors_total{operation="produce", error="E"}': "0+1x90",
    'stepbridge_producers_replaced_total{instance="a"}': "2x90",
    f"stepbridge_group_lag_records{{{_PARTITION}}}": "50000-10x90",
    f"stepbridge_group_waiting{{{_GROUP}}}": "2x90",
    f"stepbridge_group_leases_out{{{_GROUP}}}": "10x90",
    f"stepbridge_group_partition_holes{{{_PARTITION}}}": "599x90",
    f"stepbridge_group_partition_oldest_lease_seconds{{{_PARTITION}}}": "30x90",
    f"stepbridge_group_redeliveries_total{{{_GROUP}}}": "0+6x90",
    f'stepbridge_group_dead_letters_total{{{_GROUP}, reason="rejected"}}': "4x90",
    f"stepbridge_group_dead_waiting{{{_GROUP}}}": "0x90",
    f"stepbridge_group_discarded_total{{{_GROUP}}}": "0x90",
    'stepbridge_peers_refused_total{instance="a"}': "0x90",
    'stepbridge_upstream_address_up{upstream="u", address="x"}': "1x90",
    'stepbridge_upstream_address_up{upstream="u", address="y"}': "1x90",
    'stepbridge_upstream_requests_total{upstream="u", outcome="answered"}': "0+6000x90",
    'stepbridge_upstream_requests_total{upstream="u", outcome="abandoned"}': "0+600x90",
    'stepbridge_upstream_requests_total{upstream="u", outcome="upstream_timeout"}': "0+6x90",
    'stepbridge_auth_total{scheme="key", outcome="admitted"}': "0+6000x90",
    'stepbridge_auth_total{scheme="key", outcome="wrong"}': "0+6x90",
    'stepbridge_auth_total{scheme="token", outcome="issuer_unavailable"}': "0x90",
    'stepbridge_issuer_keys_age_seconds{issuer="jwt"}': "600x90",
    'stepbridge_audit_left_out_total{instance="a"}': "0x90",
    'stepbridge_control_fresh{instance="a"}': "1x90",
    'stepbridge_stage_epoch{instance="a", route="r"}': "3x90",
    'stepbridge_stage_epoch{instance="b", route="r"}': "3x90",
    'stepbridge_stage_changes_total{route="r", result="activated"}': "0+1x90",
    'stepbridge_stage_changes_total{route="r", result="abandoned"}': "1x90",
    'stepbridge_stage_held{route="r"}': "0x90",
    'stepbridge_migration_losses_total{route="r", reason="not_written"}': "3x90",
    'stepbridge_shadow_queued{route="r"}': "700x90",
    'stepbridge_shadow_queue_limit{route="r"}': "1000x90",
    'stepbridge_migration_violations_total{route="r", stage="shadow"}': "2x90",
    'stepbridge_migration_divergences_total{route="r", case="kafka_missed"}': "1x90",
    'stepbridge_divergences_waiting{instance="a"}': "0x90",
    'stepbridge_divergences_lost_total{instance="a"}': "0x90",
    'stepbridge_migration_compared_total{route="r", result="same"}': "0+600x90",
    'stepbridge_migration_compared_total{route="r", result="different"}': "0+1x90",
    'stepbridge_migration_compared_total{route="r", result="large"}': "0+600x90",
}

# What is different when the alert should fire, and the labels it then has beside its severity.
WRONG: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "StepbridgeAbsent": ({'up{job="stepbridge", instance="a"}': "_x90"}, {}),
    "StepbridgeDown": (
        {'up{job="stepbridge", instance="b"}': "0x90"},
        {"job": "stepbridge", "instance": "b"},
    ),
    "StepbridgeNotReady": ({'stepbridge_ready{instance="a"}': "0x90"}, {"instance": "a"}),
    "StepbridgeWorkersMissing": ({'stepbridge_workers_up{instance="a"}': "1x90"}, {"instance": "a"}),
    "StepbridgeWorkersRestart": ({'stepbridge_worker_restarts_total{instance="a"}': "0+1x90"}, {"instance": "a"}),
    "StepbridgeLoopLate": (
        {'stepbridge_event_loop_lag_seconds_bucket{instance="a", le="0.01"}': "0+60x90",
         'stepbridge_event_loop_lag_seconds_bucket{instance="a", le="0.5"}': "0+120x90"},
        {"instance": "a"},
    ),
    "StepbridgeVersionsDiffer": ({'stepbridge_build_info{instance="b", version="2"}': "1x90"}, {}),
    "StepbridgeCertificateExpires": (
        {'stepbridge_certificate_valid_from_timestamp_seconds{instance="a", section="server.tls"}': "-7000000x90",
         'stepbridge_certificate_expires_timestamp_seconds{instance="a", section="server.tls"}': "1800000x90"},
        {"instance": "a", "section": "server.tls"},
    ),
    "StepbridgeCertificateExpired": (
        {'stepbridge_certificate_expires_timestamp_seconds{instance="a", section="server.tls"}': "5000x90"},
        {"instance": "a", "section": "server.tls"},
    ),
    "StepbridgeKafkaAway": ({'stepbridge_kafka_up{instance="a"}': "0x90"}, {"instance": "a"}),
    "StepbridgeNotWritten": ({f'stepbridge_records_total{{{_IN}="not_written"}}': "0+100x90"}, {"route": "r"}),
    "StepbridgeOutcomesUnknown": ({f'stepbridge_records_total{{{_IN}="unknown"}}': "0+1x90"}, {"route": "r"}),
    "StepbridgeProduceSlow": (
        {'stepbridge_produce_seconds_bucket{route="r", le="0.01"}': "0+5000x90",
         'stepbridge_produce_seconds_bucket{route="r", le="2.5"}': "0+6000x90"},
        {"route": "r"},
    ),
    "StepbridgeServerErrors": ({'stepbridge_requests_total{route="r", status="503"}': "0+600x90"}, {"route": "r"}),
    "StepbridgeRefusesAtLimit": (
        {'stepbridge_limited_total{route="r", limit="rate"}': "0+120x90"},
        {"route": "r", "limit": "rate"},
    ),
    "StepbridgeClientsUncounted": (
        {'stepbridge_rate_uncounted_total{route="r", limit="rate"}': "0+1x90"},
        {"route": "r", "limit": "rate"},
    ),
    "StepbridgeKafkaErrors": (
        {'stepbridge_kafka_errors_total{operation="produce", error="E"}': "0+60x90"},
        {"operation": "produce", "error": "E"},
    ),
    "StepbridgeProducersReplaced": ({'stepbridge_producers_replaced_total{instance="a"}': "0+1x90"}, {"instance": "a"}),
    "StepbridgeLagGrows": (
        {f"stepbridge_group_lag_records{{{_PARTITION}}}": "11000+10x90"},
        {"group": "g", "topic": "t"},
    ),
    "StepbridgeNobodyReads": (
        {f"stepbridge_group_waiting{{{_GROUP}}}": "0x90", f"stepbridge_group_leases_out{{{_GROUP}}}": "0x90"},
        {"group": "g"},
    ),
    "StepbridgeCommitHeldBack": (
        {f"stepbridge_group_partition_holes{{{_PARTITION}}}": "650x90"},
        {"group": "g", "topic": "t", "partition": "0"},
    ),
    "StepbridgeLeaseOld": (
        {f"stepbridge_group_partition_oldest_lease_seconds{{{_PARTITION}}}": "0+60x90"},
        {"group": "g", "topic": "t", "partition": "0"},
    ),
    "StepbridgeRedeliveries": ({f"stepbridge_group_redeliveries_total{{{_GROUP}}}": "0+120x90"}, {"group": "g"}),
    "StepbridgeDeadLetters": (
        {f'stepbridge_group_dead_letters_total{{{_GROUP}, reason="rejected"}}': "0+1x90"},
        {"group": "g", "reason": "rejected"},
    ),
    "StepbridgeDeadLettersWait": ({f"stepbridge_group_dead_waiting{{{_GROUP}}}": "3x90"}, {"group": "g"}),
    "StepbridgeRecordsDiscarded": ({f"stepbridge_group_discarded_total{{{_GROUP}}}": "0+1x90"}, {"group": "g"}),
    "StepbridgePeersRefused": ({'stepbridge_peers_refused_total{instance="a"}': "0+1x90"}, {"instance": "a"}),
    "StepbridgeUpstreamAway": (
        {'stepbridge_upstream_address_up{upstream="u", address="x"}': "0x90",
         'stepbridge_upstream_address_up{upstream="u", address="y"}': "0x90"},
        {"upstream": "u"},
    ),
    "StepbridgeUpstreamAddressAway": (
        {'stepbridge_upstream_address_up{upstream="u", address="x"}': "0x90"},
        {"upstream": "u", "address": "x"},
    ),
    "StepbridgeUpstreamFails": (
        {'stepbridge_upstream_requests_total{upstream="u", outcome="upstream_timeout"}': "0+120x90"},
        {"upstream": "u"},
    ),
    "StepbridgeCallersRefused": (
        {'stepbridge_auth_total{scheme="key", outcome="wrong"}': "0+120x90"},
        {"scheme": "key", "outcome": "wrong"},
    ),
    "StepbridgeIssuerUnavailable": (
        {'stepbridge_auth_total{scheme="token", outcome="issuer_unavailable"}': "0+1x90"},
        {"scheme": "token"},
    ),
    "StepbridgeIssuerKeysOld": ({'stepbridge_issuer_keys_age_seconds{issuer="jwt"}': "0+60x90"}, {"issuer": "jwt"}),
    "StepbridgeStagesStale": ({'stepbridge_control_fresh{instance="a"}': "0x90"}, {"instance": "a"}),
    "StepbridgeStagesDiffer": ({'stepbridge_stage_epoch{instance="b", route="r"}': "2x90"}, {"route": "r"}),
    "StepbridgeStageNotChanged": (
        {'stepbridge_stage_changes_total{route="r", result="abandoned"}': "0+1x90"},
        {"route": "r", "result": "abandoned"},
    ),
    "StepbridgeRequestsHeld": ({'stepbridge_stage_held{route="r"}': "4x90"}, {"route": "r"}),
    "StepbridgeShadowLoses": (
        {'stepbridge_migration_losses_total{route="r", reason="not_written"}': "0+1x90"},
        {"route": "r", "reason": "not_written"},
    ),
    "StepbridgeShadowFull": ({'stepbridge_shadow_queued{route="r"}': "900x90"}, {"route": "r"}),
    "StepbridgeNoRecordMade": (
        {'stepbridge_migration_violations_total{route="r", stage="shadow"}': "0+1x90"},
        {"route": "r", "stage": "shadow"},
    ),
    "StepbridgeDiverged": (
        {'stepbridge_migration_divergences_total{route="r", case="kafka_missed"}': "0+1x90"},
        {"route": "r", "case": "kafka_missed"},
    ),
    "StepbridgeDivergencesWait": ({'stepbridge_divergences_waiting{instance="a"}': "2x90"}, {"instance": "a"}),
    "StepbridgeDivergencesLost": ({'stepbridge_divergences_lost_total{instance="a"}': "0+1x90"}, {"instance": "a"}),
    "StepbridgeAnswersDiffer": (
        {'stepbridge_migration_compared_total{route="r", result="different"}': "0+60x90"},
        {"route": "r"},
    ),
    "StepbridgeAuditLeftOut": ({'stepbridge_audit_left_out_total{instance="a"}': "0+1x90"}, {"instance": "a"}),
}  # fmt: skip


def promtool(*arguments: str | Path) -> str:
    """What it prints. Fails the test with all of it."""
    done = subprocess.run([PROMTOOL.path, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def judge(series: dict[str, str], firing: list[dict[str, str]], directory: Path) -> None:
    """Have promtool play the series, and fail unless these alerts fire at the end, and no others."""
    expected = [
        {"labels": "ALERTS{" + ", ".join(f'{name}="{value}"' for name, value in one.items()) + "}", "value": 1}
        for one in firing
    ]
    asked = {"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{MINUTES}m", "exp_samples": expected}
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [asked],
    }
    file = directory / "case.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "5m", "tests": [case]}))
    promtool("test", "rules", file)


@pytest.mark.needs("promtool")
def test_prometheus_reads_the_rules() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS)


@pytest.mark.needs("promtool")
def test_no_alert_fires_while_all_is_well(tmp_path: Path) -> None:
    judge(WELL, [], tmp_path)


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_fires_when_it_should_and_no_other_does(rule: dict[str, Any], tmp_path: Path) -> None:
    series, labels = WRONG[rule["alert"]]
    alert = {"alertname": rule["alert"], "alertstate": "firing", **labels, **rule["labels"]}
    judge(WELL | series, [alert], tmp_path)


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("rule", [rule for rule in RULES if " offset " in rule["expr"]], ids=lambda rule: rule["alert"])
def test_what_is_counted_for_the_first_time_is_told_of(rule: dict[str, Any], tmp_path: Path) -> None:
    """Until then there is no such series."""
    series, labels = WRONG[rule["alert"]]
    alert = {"alertname": rule["alert"], "alertstate": "firing", **labels, **rule["labels"]}
    judge(WELL | dict.fromkeys(series, f"_x{MINUTES - 5} 1x5"), [alert], tmp_path)


def test_every_alert_has_a_case() -> None:
    assert WRONG.keys() == set(NAMES)
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_says_what_happened_and_what_to_do_first(rule: dict[str, Any]) -> None:
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "action", "runbook_url"}
    assert all(text.rstrip().endswith(".") for name, text in rule["annotations"].items() if name != "runbook_url")


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_has_its_section_in_the_runbook(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert CHECKOUT / page == RUNBOOK
    assert anchor == rule["alert"].lower()
    section = re.search(rf"(?ms)^### {rule['alert']}$(.+?)(?=^##|\Z)", RUNBOOK.read_text())
    assert section is not None
    for part in ("**Means**", "**First**", "**Then**", "**Over when**"):
        assert part in section[1], part


def test_the_runbook_has_no_section_for_an_alert_that_is_gone() -> None:
    assert set(re.findall(r"(?m)^### (Stepbridge\w+)$", RUNBOOK.read_text())) == set(NAMES)
