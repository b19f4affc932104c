"""What arrives there, whatever fails and whenever the replay is ended."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.clock import Deadline, wall_ms
from proxy.migrate import replay, unseen
from proxy.migrate.refusals import AnotherReplays, CannotReplay
from proxy.migrate.replay import request_of
from proxy.migrate.unseen import Progress, missed
from proxy.seams.migrate import Missed
from tests.unit.migrate.replayed import TOPIC, Stored, World, diverged, written


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "PAUSES_S", (0.0,))
    monkeypatch.setattr(replay, "IDLE_S", 0.0)


async def test_only_what_the_legacy_service_has_not_seen_is_sent() -> None:
    world = World(
        [
            written(0, stage="shadow"),
            written(1),
            written(2, route="other"),
            written(3, stage="dual"),
            written(4, stage="dual"),
            written(5, stage="dual"),
            Stored(TOPIC, 0, 6, b"k", b"6"),
            diverged(4, "legacy_missed"),
            replace_offset(diverged(5, "legacy_unknown"), 1),
        ]
    )
    assert await missed(world.log, world.book, Deadline.after(5), finish=False) == Missed(2, is_followed=False)
    await world.replay().run()
    assert world.taken == [(f"{TOPIC}/0/4", b"4"), (f"{TOPIC}/0/1", b"1")]  # at dual a key was before it was at kafka
    assert (world.progress.state, world.progress.sent, world.progress.offsets) == ("done", 2, {0: 7})
    assert (await missed(world.log, world.book, Deadline.after(5), finish=True)).records == 0
    await world.replay(run="again").run()
    assert len(world.taken) == 2


def replace_offset(stored: Stored, offset: int) -> Stored:
    return replace(stored, offset=offset)


async def test_while_the_service_fails_the_same_request_is_sent_again() -> None:
    world = World([written(0), written(1)], says=[0, 503, 1, 200])
    await world.replay().run()
    assert [body for _, body in world.taken] == [b"0", b"0", b"0", b"1"]


async def test_what_it_refuses_stops_the_replay_there_or_is_passed_over() -> None:
    world = World([written(0), written(1), written(2)], says=[200, 409])
    await world.replay().run()
    assert (world.progress.state, world.progress.offsets) == ("stopped", {})
    assert "409" in world.progress.trouble
    assert f"{TOPIC}:0:1" in world.progress.trouble
    world.taken.clear()
    world.says = [200, 409]
    await world.replay(run="again", skip_refused=True).run()
    assert [body for _, body in world.taken] == [b"0", b"1", b"2"]
    assert (world.progress.state, world.progress.refused) == ("done", 1)


async def test_there_is_one_replay_at_a_time_but_a_dead_one_does_not_count() -> None:
    world = World([written(0)], Progress("other", "there", "following", wall_ms(), {0: 0}))
    with pytest.raises(AnotherReplays, match="there"):
        world.replay()
    world.progress = replace(world.progress, at_ms=wall_ms() - unseen.FRESH_MS - 1)
    await world.replay().run()
    assert world.progress.run == "run"


async def test_one_that_follows_sends_what_comes_and_a_descent_waits_for_it() -> None:
    world = World([written(0)])
    async with asyncio.timeout(5):
        task = asyncio.create_task(world.replay(follow=True).run())
        while len(world.taken) < 1:
            await asyncio.sleep(0)
        world.records.append(written(1))
        found = await missed(world.log, world.book, Deadline.after(4), finish=True)
        assert (found.records, found.is_followed) == (0, True)
        assert len(world.taken) == 2
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_a_record_that_does_not_tell_its_request_is_named() -> None:
    with pytest.raises(CannotReplay, match=f"{TOPIC}/0/6"):
        request_of(Stored(TOPIC, 0, 6, b"k", b"6"))


def test_the_request_is_what_the_client_sent() -> None:
    request = request_of(written(7))
    assert (request.method, request.target, request.body) == ("POST", b"/orders?n=7", b"7")
    assert dict(request.headers) == {
        b"stepbridge-replay": b"retail.orders/0/7",
        b"content-type": b"application/json",
        b"x-request-id": b"id-7",
        b"content-length": b"1",
    }


@given(
    keys=st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    says=st.lists(st.sampled_from([200, 200, 200, 0, 1, 500]), max_size=12),
    ended=st.lists(st.integers(0, 40), max_size=3),
    batch=st.integers(1, 5),
)
def test_whatever_fails_and_whenever_it_ends_nothing_is_missed_and_keys_keep_their_order(
    keys: list[str], says: list[int], ended: list[int], batch: int
) -> None:
    world = World([written(n, key=key, partition=ord(key) % 2) for n, key in enumerate(keys)], says=says)

    async def story() -> None:
        for turns in ended:
            task = asyncio.create_task(world.replay(run=f"run {turns}").run())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            world.progress = replace(world.progress, state="stopped")
        await world.replay(run="last").run()

    before, unseen.BATCH = unseen.BATCH, batch
    try:
        asyncio.run(story())
    finally:
        unseen.BATCH = before
    assert world.progress.state == "done"
    for key in set(keys):
        mine = [b"%d" % n for n, each in enumerate(keys) if each == key]
        got = [body for _, body in world.taken if body in mine]
        assert list(dict.fromkeys(got)) == mine, "each for the first time in its order"
        furthest = -1
        for body in got:
            at = mine.index(body)
            assert at >= furthest - batch, "no further back than a batch"
            furthest = max(furthest, at)
