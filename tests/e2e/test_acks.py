"""Acks that are refused: tokens that are damaged, forged, foreign or late, and words that mean nothing.

Of a refused ack nothing is done: its records stay with their lease.
"""

from typing import Any

import pytest

from proxy.consume.token import Kind, Signer
from tests.e2e.conftest import StartWork, Work
from tests.e2e.reader import Polled
from tests.e2e.records import numbered


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 12, 2: 0}


async def refused(one: Work, status: int, code: str, body: Any) -> dict[str, Any]:
    """The problem document that this ack is answered with."""
    answer = await one.reader.http.post(f"{one.path}/ack", json=body)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["code"]) == (status, code), document
    return document


async def untouched(one: Work, polled: Polled) -> None:
    """What was polled can still be acknowledged, all of it, and nothing had been committed."""
    assert await one.committed() is None
    assert (await one.reader.ack(polled.lease, accept="all")).json()["accepted"] == len(polled.records)


async def test_garbage_is_no_lease(work: StartWork) -> None:
    one = await work(*numbered(2))
    polled = await one.reader.poll()
    for token in ("x", "not a token at all", "é", "AAAA" * 40, "x" * 100_000, "../../etc", "\u0000"):
        await refused(one, 400, "bad_token", {"lease": token, "accept": "all"})
    await refused(one, 422, "field_missing", {"lease": "", "accept": "all"})
    await untouched(one, polled)


async def test_a_lease_cut_short_or_changed_is_refused(work: StartWork) -> None:
    one = await work(*numbered(2))
    polled = await one.reader.poll()
    assert polled.lease is not None
    middle = len(polled.lease) // 2
    other = "A" if polled.lease[middle] != "A" else "B"
    changed = polled.lease[:middle] + other + polled.lease[middle + 1 :]
    await refused(one, 403, "token_not_ours", {"lease": changed, "accept": "all"})
    for cut in (polled.lease[:-4], polled.lease[4:]):
        answer = await one.reader.ack(cut, accept="all")
        assert (answer.status_code, answer.json()["code"]) in [(403, "token_not_ours"), (400, "bad_token")]
    await untouched(one, polled)


async def test_a_lease_signed_by_somebody_else_is_403(work: StartWork) -> None:
    one = await work(*numbered(2))
    polled = await one.reader.poll()
    forged = Signer(["a secret that somebody guessed"]).sign(Kind.LEASE, b"anything")
    await refused(one, 403, "token_not_ours", {"lease": forged, "accept": "all"})
    await untouched(one, polled)


async def test_a_lease_of_another_group_is_403(work: StartWork) -> None:
    one, other = await work(*numbered(2)), await work(*numbered(2))
    polled, foreign = await one.reader.poll(), await other.reader.poll()
    await refused(one, 403, "token_of_another_route", {"lease": foreign.lease, "accept": "all"})
    await untouched(one, polled)
    await untouched(other, foreign)


async def test_the_position_of_a_stream_is_no_lease(work: StartWork) -> None:
    one = await work(*numbered(2))
    async with one.reader.http.stream("GET", one.path, headers={"accept": "text/event-stream"}) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                break
    await refused(one, 400, "bad_token", {"lease": line.removeprefix("id: "), "accept": "all"})


async def test_ids_that_the_lease_does_not_hold_are_all_named_and_nothing_is_done(work: StartWork) -> None:
    one = await work(*numbered(3))
    polled = await one.reader.poll(most=2)
    ids = [polled.ids[0], f"{one.topic}:0:2", "nonsense", f"{one.topic}:1:0"]
    document = await refused(one, 422, "field_invalid", {"lease": polled.lease, "accept": ids})
    assert [error["pointer"] for error in document["errors"]] == ["/accept/1", "/accept/2", "/accept/3"]
    await untouched(one, polled)


async def test_words_that_mean_nothing_are_refused_by_name(work: StartWork) -> None:
    one = await work(*numbered(2))
    polled = await one.reader.poll()
    lease = {"lease": polled.lease}
    for wrong, code in (
        ({"accept": "all"}, "field_missing"),
        ({"lease": 5, "accept": "all"}, "field_missing"),
        (lease, "field_missing"),
        (lease | {"accept": "some"}, "field_invalid"),
        (lease | {"accept": [5]}, "field_invalid"),
        (lease | {"accept": "all", "release": "all"}, "field_invalid"),
        (lease | {"accept": polled.ids, "release": polled.ids[:1]}, "field_invalid"),
        (lease | {"accept": "all", "acept": "all"}, "field_invalid"),
        (lease | {"release": "all", "delay_ms": -1}, "field_invalid"),
        (lease | {"release": "all", "delay_ms": "1"}, "field_invalid"),
        (lease | {"reject": "some"}, "field_invalid"),
        (lease | {"reject": "all", "accept": polled.ids}, "field_invalid"),
        (lease | {"reject": polled.ids, "release": polled.ids[:1]}, "field_invalid"),
        (lease | {"accept": "all", "renew_ms": 5}, "field_invalid"),
        (lease | {"renew_ms": 0}, "field_invalid"),
        (lease | {"renew_ms": 3_600_001}, "field_invalid"),
        (lease | {"renew_ms": True}, "field_invalid"),
        ([], "field_invalid"),
    ):
        await refused(one, 422, code, wrong)
    not_json = await one.reader.http.post(f"{one.path}/ack", content=b"{")
    assert (not_json.status_code, not_json.json()["code"]) == (400, "not_json")
    await untouched(one, polled)


async def test_an_ack_is_a_post(work: StartWork) -> None:
    one = await work()
    answer = await one.reader.http.get(f"{one.path}/ack")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_an_ack_of_nothing_in_particular_is_harmless(work: StartWork) -> None:
    one = await work(*numbered(2))
    polled = await one.reader.poll()
    answer = await one.reader.ack(polled.lease, accept=[])
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "released": 0, "rejected": 0, "renewed": 0})
    await untouched(one, polled)
