"""What the clients of the fault suite take an answer for."""

import json
from typing import Any

import pytest

from tests.chaos.forms import ARRAY, LINES, ONE, Form
from tests.chaos.stage import TOPIC
from tests.chaos.verdict import Outcome, Place
from tests.load.loader.http1 import Answer

WRITTEN, NOT_WRITTEN, UNKNOWN, UNSAID = Outcome
RECEIPT = {"topic": TOPIC, "partition": 2, "offset": 7, "timestamp_ms": 1}
ITEMS = [
    {"index": 0, "status": 201, "partition": 2, "offset": 7},
    {"index": 1, "status": 503, "code": "not_written"},
    {"index": 2, "status": 504, "code": "outcome_unknown"},
]
SAID = [WRITTEN, NOT_WRITTEN, UNKNOWN]


def heard(form: Form, status: int, *documents: Any, count: int = 1) -> list[Outcome]:
    body = "\n".join(json.dumps(document) for document in documents).encode()
    said = form.understand(Answer(status, {}, body), count)
    assert all((each.place == Place(TOPIC, 2, 7)) == (each.outcome is WRITTEN) for each in said)
    return [each.outcome for each in said]


@pytest.mark.parametrize("form", [ONE, ARRAY, LINES])
@pytest.mark.parametrize(
    ("status", "outcome"),
    [(503, NOT_WRITTEN), (429, NOT_WRITTEN), (422, NOT_WRITTEN), (504, UNKNOWN), (500, UNSAID), (502, UNSAID)],
)
def test_a_failure_holds_for_every_record_of_the_request(form: Form, status: int, outcome: Outcome) -> None:
    assert heard(form, status, {"code": "x"}, count=form.most) == [outcome] * form.most


def test_one_record_is_written_where_its_answer_says() -> None:
    assert heard(ONE, 201, RECEIPT) == [WRITTEN]


def test_the_items_of_an_array_speak_for_themselves() -> None:
    assert heard(ARRAY, 207, {"items": ITEMS, "retry": [1]}, count=3) == SAID
    assert heard(ARRAY, 201, {"items": ITEMS[:1], "retry": []}, count=1) == [WRITTEN]


def test_the_lines_of_an_upload_speak_for_themselves() -> None:
    assert heard(LINES, 207, *ITEMS, count=3) == SAID


def test_what_ends_an_upload_early_holds_for_the_rest_and_a_missing_line_says_nothing() -> None:
    assert heard(LINES, 207, *ITEMS[:2], count=4) == [WRITTEN, NOT_WRITTEN, NOT_WRITTEN, NOT_WRITTEN]
    assert heard(LINES, 207, *ITEMS[:1], count=2) == [WRITTEN, UNSAID]


def test_of_an_answer_that_was_cut_off_only_whole_lines_count() -> None:
    answer = "\n".join(map(json.dumps, ITEMS)).encode()
    assert [each.outcome for each in LINES.half(answer)] == SAID[:2]
    assert [each.outcome for each in LINES.half(answer + b"\n")] == SAID
    assert [*LINES.half(b"")] == [*LINES.half(b'{"index"')] == [*ONE.half(answer)] == []


def test_a_request_is_one_that_the_bridge_can_read() -> None:
    head, _, body = LINES.request([{"id": "1"}, {"id": "2"}]).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /batches HTTP/1.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert [json.loads(line) for line in body.splitlines()] == [{"id": "1"}, {"id": "2"}]
