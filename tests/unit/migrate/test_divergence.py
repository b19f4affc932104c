import asyncio
from contextlib import suppress

import orjson
import pytest

from proxy.errors import Overloaded
from proxy.migrate import divergence
from proxy.migrate.divergence import Asked, Divergences, Outcomes
from proxy.migrate.dual import CASES
from proxy.record import Receipt
from tests.unit.migrate.scripted import ScriptedSubmitter, away

HEADERS = [(b"content-type", b"application/json"), (b"authorization", b"Basic c2VjcmV0"), (b"x-till", b"7")]
ASKED = Asked("orders", "id-1", "POST", "/orders?x=1", HEADERS, b'{"id": 1}', b"1")
MISSED = Outcomes("accepted", "not_written", 201, "not_written")


async def written(divergences: Divergences) -> None:
    task = asyncio.create_task(divergences.run())
    async with asyncio.timeout(5):
        await divergences.flush()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_divergence_has_what_it_takes_to_reconcile_and_no_credentials() -> None:
    submitter = ScriptedSubmitter(away)
    divergences = Divergences(submitter, "_stepbridge.divergences")
    divergences.note(ASKED, "legacy", CASES["legacy"]["accepted", "not_written"], MISSED)
    assert divergences.waiting == 1
    await written(divergences)
    (record,) = submitter.log
    assert (record.topic, record.key) == ("_stepbridge.divergences", b"1")
    assert record.value is not None
    assert b"c2VjcmV0" not in record.value
    told = orjson.loads(record.value)
    assert told.pop("time_ms") > 0
    assert told == {
        "route": "orders",
        "request_id": "id-1",
        "stage": "dual",
        "authority": "legacy",
        "case": "kafka_missed",
        "method": "POST",
        "target": "/orders?x=1",
        "headers": [["content-type", "application/json"], ["x-till", "7"]],
        "content_type": "application/json",
        "key": "1",
        "body": '{"id": 1}',
        "legacy": {"outcome": "accepted", "status": 201},
        "kafka": {"outcome": "not_written", "receipt": None},
        "code": "not_written",
    }


@pytest.mark.parametrize("name", [b"x-api-key", b"x-shop-key"])
async def test_keys_of_callers_are_not_written_down(name: bytes) -> None:
    submitter = ScriptedSubmitter()
    divergences = Divergences(submitter, "d", secret=[b"x-shop-key"])
    asked = Asked("orders", "id-1", "POST", "/orders", [(name, b"c2VjcmV0")], b"", None)
    divergences.note(asked, "legacy", CASES["legacy"]["accepted", "not_written"], MISSED)
    await written(divergences)
    (record,) = submitter.log
    assert record.value is not None
    assert b"c2VjcmV0" not in record.value


async def test_a_receipt_and_a_body_of_any_bytes_are_told() -> None:
    submitter = ScriptedSubmitter()
    divergences = Divergences(submitter, "d")
    asked = Asked("orders", "id-1", "PUT", "/o", [], b"\xff\x00", None)
    outcomes = Outcomes("away", "written", None, "upstream_unavailable", Receipt("t", 1, 2, 3))
    divergences.note(asked, "kafka", CASES["kafka"]["away", "written"], outcomes)
    await written(divergences)
    told = orjson.loads(submitter.log[0].value or b"")
    assert told["body"] == {"base64": "/wA="}
    assert told["kafka"]["receipt"] == {"topic": "t", "partition": 1, "offset": 2, "timestamp_ms": 3}


async def test_while_too_many_wait_nothing_may_happen_that_could_diverge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divergence, "BOUND", 1)
    divergences = Divergences(ScriptedSubmitter(), "d")
    divergences.check()
    divergences.note(ASKED, "legacy", CASES["legacy"]["accepted", "not_written"], MISSED)
    with pytest.raises(Overloaded, match="Nothing was done"):
        divergences.check()
    assert divergences.unwritten == 0
    divergences.note(ASKED, "legacy", CASES["legacy"]["accepted", "not_written"], MISSED)
    assert divergences.unwritten == 1
