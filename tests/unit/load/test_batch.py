"""Figures of requests with many records, told by the record."""

from tests.load.aims import FORMS as IN_WORDS
from tests.load.loader.payload import PAYLOADS, RECORDS
from tests.load.sections.batch import FORMS, by_record


def test_a_request_of_a_hundred_records_counts_a_hundred_times_and_costs_each_a_hundredth() -> None:
    measured = {"per_s": 50.0, "cpu_s_per_10k": 10.0, "p50_ms": 3.0}
    assert by_record(measured, 100) == {"per_s": 5_000.0, "cpu_s_per_10k": 0.1, "p50_ms": 3.0}


def test_every_form_can_be_sent_and_is_told_in_words() -> None:
    assert {form.name for form in FORMS} == set(IN_WORDS) == set(PAYLOADS) - {"one"}
    assert {form.records for form in FORMS} == {RECORDS}
