"""A client against answers that are scripted: the judge hears exactly what it was told, and so finds out who lies."""

import io
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from proxy.consume.claim import Claim
from proxy.consume.token import Signer
from proxy.record import Partition
from tests.e2e.configuration import SECRET
from tests.replicas.load import Client, World
from tests.replicas.stage import LEASE_MS
from tests.replicas.verdict import CAME_BACK, LOST, STRANGE_ANSWER, Judge
from tests.unit.load.scripted import Piece, answer, scripted

GROUP = "g"
ACKED = [answer(200, b"{}")]
Said = Callable[[bytes], Sequence[Piece] | None]  # to an ack


def page(*offsets: int, handed_out_ago_s: float = 0.0) -> list[Piece]:
    """The answer to a poll: these records, under a lease."""
    until_ms = int((time.time() - handed_out_ago_s) * 1000) + LEASE_MS
    claim = Claim(GROUP, 1, until_ms, len(offsets), {Partition("t", 0): [(min(offsets), max(offsets) + 1)]})
    records = [{"id": f"t:0:{n}", "value": {"n": n}, "deliveries": 1} for n in offsets]
    return [answer(200, orjson.dumps({"records": records, "lease": claim.seal(Signer([SECRET]))}))]


@asynccontextmanager
async def client(polled: Sequence[list[Piece]], acked: Said) -> AsyncIterator[tuple[Client, Judge]]:
    """Its polls are answered with these in turn; its judge knows of records 1 and 2."""
    pages = itertools.cycle(polled)

    def script(_: int, request: bytes) -> Sequence[Piece] | None:
        return acked(request) if request.startswith(b"POST") else next(pages)

    async with scripted(script) as server:
        judge = Judge()
        world = World([server.port], judge, io.StringIO())
        judge.wrote([1, 2], world.now_s)
        yield Client(0, world, GROUP, seed=1), judge


def lies(judge: Judge) -> dict[str, int]:
    return {name: len(cases) for name, cases in judge.verdict(1.0).lies.items() if cases}


async def test_records_that_an_ack_was_answered_200_for_are_accepted() -> None:
    async with client([page(1, 2)], lambda _: ACKED) as (one, judge):
        await one.accept_all()
    assert (judge.verdict(1.0).is_clean, judge.verdict(1.0).accepted) == (True, 2)


@pytest.mark.parametrize(
    ("said", "accepted", "doubtful", "found"),
    [
        (lambda _: None, 0, 2, {}),
        (lambda _: [answer(504, b'{"code":"outcome_unknown"}')], 0, 2, {}),
        (lambda _: [answer(503, b'{"code":"unavailable"}')], 0, 0, {LOST: 2}),
        (lambda _: [answer(409, b'{"code":"lease_moved"}')], 0, 0, {LOST: 2}),
        (lambda _: [answer(409, b'{"code":"lease_expired","accepted":["t:0:2"]}')], 1, 0, {LOST: 1}),
        (lambda _: [answer(410, b'{"code":"gone"}')], 0, 0, {LOST: 2, STRANGE_ANSWER: 5}),
    ],
    ids=["hung up", "unknown", "not done", "moved", "part of it has expired", "what nobody expects"],
)
async def test_each_answer_to_an_ack_is_taken_for_what_it_says(
    said: Said, accepted: int, doubtful: int, found: dict[str, int]
) -> None:
    async with client([page(1, 2)], said) as (one, judge):
        await one.accept_all()
    assert (judge.verdict(1.0).accepted, judge.doubtful, lies(judge)) == (accepted, doubtful, found)


async def test_an_ack_without_an_answer_is_repeated_until_there_is_one() -> None:
    said = itertools.chain([None, [answer(503, b"{}")]], itertools.repeat(ACKED))
    async with client([page(1, 2)], lambda _: next(said)) as (one, judge):
        await one.accept_all()
    assert (judge.verdict(1.0).accepted, judge.doubtful) == (2, 0)


async def test_a_bridge_that_brings_what_it_has_taken_an_ack_for_is_found_out() -> None:
    async with client([page(1, 2), page(2)], lambda _: ACKED) as (one, judge):
        await one.accept_all()
        await one.forget()
    assert lies(judge) == {CAME_BACK: 1}


async def test_so_is_one_that_claims_to_have_handed_it_out_before_its_client_asked() -> None:
    async with client([page(1, 2), page(2, handed_out_ago_s=3_600)], lambda _: ACKED) as (one, judge):
        await one.accept_all()
        await one.forget()
    assert lies(judge) == {CAME_BACK: 1}


async def test_a_poll_with_the_lease_before_it_accepts_that_lease() -> None:
    bodies: list[Any] = []

    def note(request: bytes) -> Sequence[Piece]:
        bodies.append(request)
        return ACKED

    nothing: list[Piece] = [answer(200, b'{"records":[]}')]
    async with client([page(1, 2), nothing], note) as (one, judge):
        await one.accept_on_the_next_poll()
    assert (judge.verdict(1.0).accepted, bodies) == (2, [])
