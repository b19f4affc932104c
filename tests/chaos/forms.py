"""The forms in which clients send records, and what each answer says of each record (DESIGN, law 2)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.chaos.stage import MANY_PATH, PATH, TOPIC
from tests.chaos.verdict import Outcome, Place
from tests.load.loader.http1 import Answer


class Heard(NamedTuple):
    """What was said of one record; `why` not, if it was not written."""

    outcome: Outcome
    why: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """`most` records in a request.

    `understand` gives one Heard a record, of an answer to so many; `half` the first of them, of an answer's body as far
    as it came.
    """

    path: str
    media: str
    most: int
    encode: Callable[[Sequence[Any]], str]
    understand: Callable[[Answer, int], Sequence[Heard]]
    half: Callable[[bytes], Sequence[Heard]]

    def request(self, records: Sequence[Any]) -> bytes:
        body = self.encode(records).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: a\r\nContent-Type: {self.media}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def of_one(answer: Answer, count: int) -> Sequence[Heard]:
    body = json.loads(answer.body)
    if answer.status == 201:
        return [Heard(Outcome.WRITTEN, "", Place(body["topic"], body["partition"], body["offset"]))]
    return [_not(answer.status, body)]


def of_array(answer: Answer, count: int) -> Sequence[Heard]:
    body = json.loads(answer.body)
    if answer.status not in (201, 207):
        return [_not(answer.status, body)] * count
    return [_of_item(item) for item in body["items"]]


def of_lines(answer: Answer, count: int) -> Sequence[Heard]:
    if answer.status != 207:
        return [_not(answer.status, json.loads(answer.body))] * count
    heard = [_of_item(json.loads(line)) for line in answer.body.splitlines()]
    last = heard[-1]  # what ends an upload early holds for all that follows
    rest = Heard(Outcome.UNSAID, "207 without it") if last.outcome is Outcome.WRITTEN else last
    return heard + [rest] * (count - len(heard))


def no_half(body: bytes) -> Sequence[Heard]:
    """It is one JSON document: half of it says nothing."""
    return []


def half_of_lines(body: bytes) -> Sequence[Heard]:
    """Each line that came whole is true, whatever ended the answer."""
    whole, _, _ = body.rpartition(b"\n")
    return [_of_item(json.loads(line)) for line in whole.splitlines()]


def _of_item(item: Any) -> Heard:
    if item["status"] == 201:
        return Heard(Outcome.WRITTEN, "", Place(TOPIC, item["partition"], item["offset"]))
    return _not(item["status"], item)


def _not(status: int, body: Any) -> Heard:
    """Anything but written."""
    is_refusal = status == 503 or 400 <= status < 500
    outcome = Outcome.UNKNOWN if status == 504 else Outcome.NOT_WRITTEN if is_refusal else Outcome.UNSAID
    return Heard(outcome, f"{status} {body.get('code')}")


def as_lines(records: Sequence[Any]) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in records)


JSON = "application/json"
ONE = Form(PATH, JSON, 1, lambda records: json.dumps(records[0]), of_one, no_half)
ARRAY = Form(MANY_PATH, JSON, 5, json.dumps, of_array, no_half)
LINES = Form(MANY_PATH, "application/x-ndjson", 5, as_lines, of_lines, half_of_lines)
