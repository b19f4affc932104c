from typing import get_args

import pytest

from proxy.errors import (
    CircuitOpen,
    KafkaAway,
    NotWritten,
    OutcomeUnknown,
    ProxyError,
    SchemaViolation,
    UpstreamAway,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamTimeout,
)
from proxy.migrate.dual import CASES, Authority, Kafka, Legacy, kafka_failure, legacy_failure, legacy_outcome

FIRST: dict[Authority, set[str]] = {
    "legacy": set(get_args(Legacy)) - {"not_asked"},
    "kafka": set(get_args(Kafka)) - {"not_asked"},
}


@pytest.mark.parametrize("authority", get_args(Authority))
def test_every_combination_that_can_be_has_a_name(authority: Authority) -> None:
    """Whatever the first said; and, where it took the record, whatever the second did."""
    cases = CASES[authority]
    if authority == "legacy":
        reached = {(first, "not_asked") for first in FIRST["legacy"] - {"accepted"}}
        reached |= {("accepted", second) for second in FIRST["kafka"]}
    else:
        reached = {("not_asked", first) for first in FIRST["kafka"] - {"written"}}
        reached |= {(second, "written") for second in FIRST["legacy"]}
    assert set(cases) == reached


@pytest.mark.parametrize("authority", get_args(Authority))
def test_only_what_is_certain_to_be_at_both_or_at_neither_has_not_diverged(authority: Authority) -> None:
    certain = {"accepted": True, "written": True, "refused": False, "away": False, "not_written": False}
    for (legacy, kafka), case in CASES[authority].items():
        has = [certain.get(each, False if each == "not_asked" else None) for each in (legacy, kafka)]
        assert case.diverged == (None in has or has[0] != has[1]), case


@pytest.mark.parametrize(("status", "outcome"), [(200, "accepted"), (204, "accepted"), (302, "refused"),
                                                 (404, "refused"), (500, "failed"), (503, "failed")])  # fmt: skip
def test_an_answer_of_the_legacy_service_is_an_outcome(status: int, outcome: str) -> None:
    assert legacy_outcome(status) == outcome


@pytest.mark.parametrize(("error", "outcome"), [(UpstreamFailed, "unknown"), (UpstreamTimeout, "unknown"),
                                                (UpstreamAway, "away"), (CircuitOpen, "away"),
                                                (UpstreamBusy, "away")])  # fmt: skip
def test_no_answer_is_one_too(error: type[UpstreamError], outcome: str) -> None:
    assert legacy_failure(error("?")) == outcome


@pytest.mark.parametrize(("error", "outcome"), [(OutcomeUnknown, "unknown"), (NotWritten, "not_written"),
                                                (KafkaAway, "not_written"), (SchemaViolation, "refused")])  # fmt: skip
def test_so_is_what_kafka_says(error: type[ProxyError], outcome: str) -> None:
    assert kafka_failure(error("?")) == outcome
