"""What a reader can do with a lease beside accepting and releasing: reject, renew, acknowledge with the next poll; and
how a route orders and bounds what is out."""

import asyncio
import time

import pytest

from tests.e2e.conftest import StartWork, Work
from tests.e2e.records import Put, contents, numbered, until
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 30, 2: 1}


def told(record: Put) -> dict[str, str]:
    """What a dead letter's headers say of it."""
    prefix = "stepbridge-dead-"
    return {name.removeprefix(prefix): value.decode() for name, value in record.headers if name.startswith(prefix)}


async def committed_offset(one: Work) -> int | None:
    commit = await one.committed()
    return commit.offset if commit else None


# ---- reject


async def test_a_rejected_record_is_in_the_dead_letter_topic_when_the_ack_is_answered(
    kafka: Kafka, shared: SharedBridge, work: StartWork
) -> None:
    dead = shared.topic(1)
    value, headers = b'{ "n" : 1.10 }', [("trace", b"\x00\xff"), ("trace", b"")]
    one = await work(Put(value, b"k\xff", 0, headers, 1_700_000_000_123), b"2", dead_letter=dead)
    polled = await one.reader.poll(most=1)
    answer = await one.reader.ack(polled.lease, reject=polled.ids)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "released": 0, "rejected": 1, "renewed": 0})
    (letter,) = await contents(kafka, dead)
    assert (letter.value, letter.key, list(letter.headers[:2])) == (value, b"k\xff", headers)
    assert told(letter) == {
        "topic": one.topic,
        "partition": "0",
        "offset": "0",
        "timestamp": "1700000000123",
        "group": one.group,
        "deliveries": "1",
        "reason": "rejected",
    }
    assert await committed_offset(one) == 1
    assert await one.reader.take(1) == [2]


async def test_a_repeated_reject_writes_no_second_letter(kafka: Kafka, shared: SharedBridge, work: StartWork) -> None:
    dead = shared.topic(1)
    one = await work(*numbered(3), dead_letter=dead)
    polled = await one.reader.poll()
    answers = [await one.reader.ack(polled.lease, reject="all") for _ in range(3)]
    assert [(answer.status_code, answer.json()["rejected"]) for answer in answers] == [(200, 3)] * 3
    assert [letter.value for letter in await contents(kafka, dead)] == numbered(3)


async def test_without_a_dead_letter_topic_what_is_rejected_is_discarded(work: StartWork) -> None:
    one = await work(*numbered(2), lease_ms=400)
    polled = await one.reader.poll()
    answer = await one.reader.ack(polled.lease, reject="all")
    assert (answer.status_code, answer.json()["rejected"]) == (200, 2)
    assert await committed_offset(one) == 2
    assert (await one.reader.poll(wait_s=1)).records == []


async def test_a_record_that_was_handed_out_too_often_is_a_dead_letter(
    kafka: Kafka, shared: SharedBridge, work: StartWork
) -> None:
    """Whether its reader gives it back or says nothing."""
    dead = shared.topic(1)
    one = await work(*numbered(2), dead_letter=dead, max_deliveries=2, lease_ms=400)
    first = await one.reader.poll()
    assert (await one.reader.ack(first.lease, release=first.ids[:1])).status_code == 200
    again = [await one.reader.poll(most=1) for _ in range(2)]
    assert [polled.deliveries for polled in again] == [[2], [2]]

    async def both_are_dead() -> bool:
        return len(await contents(kafka, dead)) == 2

    await until(both_are_dead)
    letters = {told(letter)["offset"]: told(letter) for letter in await contents(kafka, dead)}
    assert {(each["reason"], each["deliveries"]) for each in letters.values()} == {("max_deliveries", "2")}
    assert sorted(letters) == ["0", "1"]

    async def both_are_committed() -> bool:
        return await committed_offset(one) == 2

    await until(both_are_committed)
    assert (await one.reader.poll(wait_s=1)).records == []


async def test_a_record_too_large_for_the_dead_letter_topic_blocks_nobody(
    kafka: Kafka, shared: SharedBridge, work: StartWork
) -> None:
    """Its letter says where it is instead of what it says."""
    dead = shared.topic(1)
    large = b"x" * (1_048_588 - 150)  # fits its own topic, but not with the headers of a letter
    one = await work(Put(large, b"k"), b"1", dead_letter=dead)
    for _ in range(2):
        polled = await one.reader.poll(most=1)
        answer = await one.reader.ack(polled.lease, reject="all")
        assert answer.status_code == 200, answer.text
    letters = {told(letter)["offset"]: letter for letter in await contents(kafka, dead)}
    assert (letters["0"].value, letters["0"].key) == (b"", f"{one.topic}:0:0".encode())
    assert told(letters["0"])["omitted"] == "record_too_large"
    assert letters["1"].value == b"1"
    assert await committed_offset(one) == 2


async def test_while_dead_letters_cannot_be_written_others_go_on(work: StartWork, name: str) -> None:
    one = await work(*numbered(3), dead_letter=name)  # a topic that is not there
    polled = await one.reader.poll(most=1)
    answer = await one.reader.ack(polled.lease, reject="all")
    assert (answer.status_code, answer.json()["code"]) == (504, "outcome_unknown")
    assert await one.reader.take(2) == [1, 2]
    assert await committed_offset(one) == 0  # it waits, and is not lost


# ---- renew


async def test_a_renewed_lease_lasts_longer_and_comes_with_a_new_token(work: StartWork) -> None:
    one = await work(*numbered(3), lease_ms=800)
    polled = await one.reader.poll()
    answer = await one.reader.ack(polled.lease, accept=polled.ids[:1], renew_ms=60_000)
    document = answer.json()
    assert (answer.status_code, document["accepted"], document["renewed"]) == (200, 1, 2)
    assert (await one.reader.poll(wait_s=2)).records == []  # its first end has passed
    for lease in (document["lease"], polled.lease):
        accepted = await one.reader.ack(lease, accept="all")
        assert accepted.status_code == 200, accepted.text
    assert await committed_offset(one) == 3


async def test_a_lease_of_which_nothing_is_left_is_renewed_to_a_token_that_is_as_good(work: StartWork) -> None:
    """After a rebalance others may have accepted all of it; a client that goes on with the new token is told so."""
    one = await work(*numbered(2))
    polled = await one.reader.poll()
    assert (await one.reader.ack(polled.lease, accept="all")).status_code == 200
    answer = await one.reader.ack(polled.lease, renew_ms=60_000)
    assert (answer.status_code, answer.json()["renewed"]) == (200, 0)
    assert (await one.reader.ack(answer.json()["lease"], accept=polled.ids)).status_code == 200
    nothing_to_keep = await one.reader.ack(polled.lease, accept=polled.ids, renew_ms=60_000)
    assert (nothing_to_keep.status_code, nothing_to_keep.json().get("lease")) == (200, None)


async def test_a_lease_that_is_over_cannot_be_renewed(work: StartWork) -> None:
    one = await work(*numbered(1), lease_ms=300)
    polled = await one.reader.poll()
    again = await one.reader.poll()  # comes when the lease is over
    assert again.deliveries == [2]
    answer = await one.reader.ack(polled.lease, renew_ms=60_000)
    assert (answer.status_code, answer.json()["code"]) == (409, "lease_expired")


# ---- with the next poll


async def test_a_poll_can_accept_the_one_before(work: StartWork) -> None:
    one = await work(*numbered(4))
    first = await one.reader.poll(most=2)
    answer = await one.reader.http.get(one.path, params={"ack": first.lease, "wait": 10})
    assert [record["value"] for record in answer.json()["records"]] == [2, 3]
    assert await committed_offset(one) == 2


async def test_a_poll_whose_ack_is_refused_leases_nothing(work: StartWork) -> None:
    one = await work(*numbered(2), lease_ms=300)
    first = await one.reader.poll(most=1)
    again = await one.reader.poll(most=1)
    assert again.values == [1]
    late = await one.reader.poll(most=1)
    assert late.deliveries == [2]
    answer = await one.reader.http.get(one.path, params={"ack": first.lease, "wait": 10})
    assert (answer.status_code, answer.json()["code"]) == (409, "lease_expired")


async def test_what_a_refused_poll_had_was_not_delivered(work: StartWork) -> None:
    one = await work(*numbered(3), lease_ms=60_000)
    damaged = await one.reader.http.get(one.path, params={"ack": "AAAA", "wait": 10})
    assert (damaged.status_code, damaged.json()["code"]) == (400, "bad_token")
    assert (await one.reader.poll()).deliveries == [1, 1, 1]


async def test_an_ack_and_an_empty_wait(work: StartWork) -> None:
    one = await work(*numbered(1))
    first = await one.reader.poll()
    began_s = time.monotonic()
    answer = await one.reader.http.get(one.path, params={"ack": first.lease, "wait": 1})
    assert (answer.status_code, answer.json()["records"]) == (200, [])
    assert time.monotonic() - began_s >= 0.9
    assert await committed_offset(one) == 1


async def test_automatic_acks_and_streams_take_no_ack_in_a_poll(work: StartWork) -> None:
    auto, explicit = await work(*numbered(1), ack="auto"), await work(*numbered(1))
    for one, accept in ((auto, "application/json"), (explicit, "text/event-stream")):
        answer = await one.reader.http.get(one.path, params={"ack": "x"}, headers={"accept": accept})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")


# ---- order and bounds


async def test_of_one_key_one_record_is_out_at_a_time(work: StartWork) -> None:
    keys = [b"a", b"a", b"b", b"a", None, b"b", None]
    one = await work(*(Put(value, key) for value, key in zip(numbered(7), keys, strict=True)), order="key")
    first = await one.reader.poll()
    assert first.values == [0, 2, 4, 6]
    assert (await one.reader.poll(wait_s=0)).records == []
    await one.reader.accept(first.lease, first.ids[:1])
    second = await one.reader.poll()
    assert second.values == [1]
    assert (await one.reader.ack(second.lease, release="all", delay_ms=500)).status_code == 200
    await one.reader.accept(first.lease)
    assert (await one.reader.poll(wait_s=0)).values == [5]  # nobody overtakes what was given back
    third = await one.reader.poll()
    assert (third.values, third.deliveries) == ([1], [2])
    await one.reader.accept(third.lease)
    assert await one.reader.take(1) == [3]


async def test_of_one_partition_one_lease_is_out_at_a_time(work: StartWork) -> None:
    one = await work(*numbered(5), order="partition")
    first = await one.reader.poll(most=3)
    assert (await one.reader.poll(wait_s=0)).records == []
    await one.reader.accept(first.lease, first.ids[:1])
    assert (await one.reader.ack(first.lease, release=first.ids[1:])).status_code == 200
    assert (await one.reader.poll()).values == [1, 2, 3, 4]


async def test_no_more_is_out_than_the_route_says(work: StartWork) -> None:
    one = await work(*numbered(5), max_in_flight=3)
    first = await one.reader.poll(most=2)
    second = await one.reader.poll()
    assert (first.values, second.values) == ([0, 1], [2])
    assert (await one.reader.poll(wait_s=0)).records == []
    waiting = asyncio.create_task(one.reader.poll())
    await one.reader.accept(first.lease)
    assert (await waiting).values == [3, 4]


async def test_with_an_interval_an_ack_is_answered_before_its_commit(work: StartWork) -> None:
    one = await work(*numbered(5), commit="interval")
    polled = await one.reader.poll()
    began_s = time.monotonic()
    await one.reader.accept(polled.lease)
    assert time.monotonic() - began_s < 0.9

    async def is_committed() -> bool:
        return await committed_offset(one) == 5

    await until(is_committed)


async def test_an_ack_of_a_million_ids_is_refused_before_any_work(work: StartWork) -> None:
    one = await work(*numbered(2))
    polled = await one.reader.poll()
    many = await one.reader.ack(polled.lease, accept=["x"] * 1_001)
    assert (many.status_code, many.json()["errors"][0]["pointer"]) == (422, "/accept")
    million = await one.reader.ack(polled.lease, accept=polled.ids * 500_000)
    assert (million.status_code, million.json()["code"]) == (413, "too_large")
    await one.reader.accept(polled.lease)
