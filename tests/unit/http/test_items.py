"""One item of a batch's answer: what it says of a record that was, or was not, written."""

import orjson
import pytest

from proxy import errors
from proxy.clock import Deadline
from proxy.errors import NotWritten, ProxyError
from proxy.http.items import ItemWriter, Outcome, item, step, worth_retrying
from proxy.observe.metrics import Metrics
from proxy.record import Receipt, Record
from proxy.routes.recipe import RecordRecipe
from proxy.routes.request import Request
from tests.unit.http.batching import ScriptedSubmitter
from tests.unit.routes.requests import request, route

WRITTEN = Receipt("t", 3, 17, 0)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (errors.NotJson, "parse"),
        (errors.TooLarge, "parse"),
        (errors.ExpandsTooMuch, "parse"),
        (errors.BadEncoding, "parse"),
        (errors.BodyTimeout, "parse"),
        (errors.FieldMissing, "template"),
        (errors.FieldInvalid, "template"),
        (errors.SchemaViolation, "schema"),
        (errors.RecordTooLarge, "refuse"),
        (errors.KeyRequired, "refuse"),
        (errors.NotWritten, "queue"),
        (errors.Overloaded, "queue"),
        (errors.KafkaAway, "queue"),
        (errors.TopicMissing, "queue"),
        (errors.Draining, "queue"),
        (errors.RefusedByKafka, "kafka"),
        (errors.KafkaForbids, "kafka"),
        (errors.OutcomeUnknown, "kafka"),
        (errors.ProxyError, "bridge"),
    ],
)
def test_each_failure_names_the_step_it_happened_at(kind: type[ProxyError], name: str) -> None:
    why = kind("why")
    assert step(why) == name
    assert orjson.loads(item(7, why)) == {
        "index": 7,
        "status": kind.status,
        "step": name,
        "code": kind.code,
        "detail": why.told,
    }


def test_what_was_written_names_its_place() -> None:
    assert orjson.loads(item(7, WRITTEN)) == {"index": 7, "status": 201, "partition": 3, "offset": 17}


def test_an_item_says_a_bounded_amount() -> None:
    mistakes = [{"pointer": f"/{number}", "detail": "is wrong"} for number in range(100)]
    said = orjson.loads(item(7, errors.SchemaViolation("x" * 10_000, errors=mistakes)))
    assert (len(said["detail"]), len(said["errors"])) == (1_000, 10)


def test_unknown_is_not_worth_retrying_and_not_written_is() -> None:
    outcomes: list[Outcome] = [
        WRITTEN,
        errors.OutcomeUnknown("?"),
        NotWritten("!"),
        errors.FieldMissing("x"),
        errors.KafkaAway("-"),
    ]
    assert worth_retrying(outcomes) == [2, 4]


async def test_a_fault_of_ours_in_one_item_is_its_own() -> None:
    class Faulty(RecordRecipe):
        def item(self, request: Request) -> Record:
            if request.body == b"2":
                raise ZeroDivisionError
            return super().item(request)

    submitter = ScriptedSubmitter()
    produce = route().produce
    assert produce is not None
    writer = ItemWriter(Faulty(produce, RecordRecipe.compile(route()).reply), submitter, Metrics().route("r"), 5.0)
    items = [request().item(body) for body in (b"1", b"2", b"3")]
    outcomes = await writer.write(items, Deadline.after(5), "r-1")
    assert submitter.values == [b"1", b"3"]
    assert [getattr(outcome, "status", 201) for outcome in outcomes] == [201, 500, 201]
    assert worth_retrying(outcomes) == []
