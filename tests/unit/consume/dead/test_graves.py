"""Dead letters: listed newest first, sent back as they were, and not sent back twice by those who replay all."""

from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.clock import Deadline
from proxy.consume.dead.graves import MOST_REPLAYED, Graves, Replay
from proxy.consume.dead.letter import Letter
from proxy.consume.dead.replayed import MAX_HOLES, Replayed
from proxy.consume.dead.stroll import CHUNK, MOST_READ
from proxy.errors import FieldInvalid, KafkaAway, TopicMissing
from proxy.record import Partition, Record
from proxy.seams.groups import Committed
from tests.unit.consume.fakes import ScriptedTopic
from tests.unit.consume.scripted_log import Logged, ScriptedLog

DEAD = "orders.dead"
ZERO, ONE = Partition(DEAD, 0), Partition(DEAD, 1)


def told(group: str = "pricing", offset: int = 7, **more: str) -> list[tuple[str, bytes]]:
    """What a dead letter's headers say, as `deadletters.py` writes them."""
    said = {"topic": "orders", "partition": "3", "offset": str(offset), "timestamp": "1", "group": group}
    said |= {"deliveries": "5", "reason": "rejected", **more}
    return [(f"stepbridge-dead-{name}", value.encode()) for name, value in said.items()]


def logged(*headers: tuple[str, bytes]) -> Logged:
    return Logged(DEAD, 1, 4, 99, b"v", b"k", headers)


class ScriptedMarks:
    """`seams.Marks` in memory."""

    def __init__(self) -> None:
        self.commits: dict[tuple[str, Partition], Committed] = {}
        self.is_away = False

    async def read(
        self, group: str, partitions: Iterable[Partition], deadline: Deadline
    ) -> Mapping[Partition, Committed]:
        return {p: self.commits[group, p] for p in partitions if (group, p) in self.commits}

    async def write(self, group: str, commits: Mapping[Partition, Committed], deadline: Deadline) -> None:
        if self.is_away:
            raise KafkaAway("away")
        self.commits |= {(group, partition): commit for partition, commit in commits.items()}


class Yard:
    """A dead-letter topic of two partitions, and what replays write."""

    def __init__(self) -> None:
        self.log = ScriptedLog({DEAD: 2})
        self.marks = ScriptedMarks()
        self.written = ScriptedTopic()
        self.graves = Graves(self.log, self.log.tail, self.marks, self.written)
        self._count = 0

    def bury(self, partition: Partition = ZERO, *, count: int = 1, group: str = "pricing", **more: str) -> list[str]:
        added = self.log.append(partition, count)
        for record in added:
            record.headers = told(group, self._count, **more)
            self._count += 1
        return [f"{DEAD}:{record.partition}:{record.offset}" for record in added]

    async def listed(self, most: int = 100) -> Sequence[str]:
        return [letter.id for letter, _ in (await self.graves.newest("pricing", DEAD, most=most)).letters]

    async def replay_all(self) -> Replay:
        return await self.graves.replay_all("pricing", DEAD)

    @property
    def sent(self) -> list[str]:
        """Which letters went back, in order."""
        return [dict(record.headers)["stepbridge-replayed-from"].decode() for record in self.written.letters]


# ---- one letter


def test_a_letter_tells_where_its_record_came_from_and_has_it_as_it_was() -> None:
    letter = Letter.read(logged(("a", b"1"), ("a", b"2"), *told()))
    assert letter is not None
    assert (letter.id, letter.dead_ms) == ("orders.dead:1:4", 99)
    assert (letter.origin, letter.origin_offset) == (Partition("orders", 3), 7)
    assert (letter.group, letter.deliveries, letter.reason, letter.omitted) == ("pricing", 5, "rejected", None)
    assert letter.replayed() == Record(
        "orders", b"k", b"v", [("a", b"1"), ("a", b"2"), ("stepbridge-replayed-from", b"orders.dead:1:4")], None, 3
    )


def test_a_record_that_died_twice_keeps_what_the_first_group_said_of_it() -> None:
    letter = Letter.read(logged(*told("first", 1), *told("second", 2)))
    assert letter is not None
    assert (letter.group, letter.origin_offset) == ("second", 2)
    assert letter.headers == told("first", 1)


def test_a_letter_that_was_replayed_before_says_only_where_it_came_from_last() -> None:
    letter = Letter.read(logged(("stepbridge-replayed-from", b"orders.dead:0:1"), *told()))
    assert letter is not None
    assert letter.replayed().headers == [("stepbridge-replayed-from", b"orders.dead:1:4")]


@pytest.mark.parametrize(
    "headers",
    [[], [("a", b"1")], told()[1:], told(deliveries="many"), [*told(), ("a", b"behind")], told(partition="²")],
)
def test_what_is_no_letter_is_none(headers: list[tuple[str, bytes]]) -> None:
    assert Letter.read(logged(*headers)) is None


# ---- listing


async def test_letters_of_the_group_are_listed_newest_first_over_all_partitions() -> None:
    yard = Yard()
    first, second = yard.bury(ZERO), yard.bury(ONE)
    yard.bury(ZERO, group="others")
    yard.log.append(ZERO)  # somebody's plain record
    third = yard.bury(ZERO)
    assert await yard.listed() == [*third, *second, *first]
    assert all(tail.is_closed for tail in yard.log.tails)


async def test_a_list_is_bounded_and_says_that_there_is_more() -> None:
    yard = Yard()
    yard.bury(ZERO, count=3)
    newest = yard.bury(ONE, count=2)
    found = await yard.graves.newest("pricing", DEAD, most=2)
    assert [letter.id for letter, _ in found.letters] == newest[::-1]
    assert not found.is_complete
    assert (await yard.graves.newest("pricing", DEAD, most=5)).is_complete


async def test_letters_are_found_far_behind_those_of_others() -> None:
    yard = Yard()
    [lonely] = yard.bury(ZERO)
    yard.bury(ZERO, count=3 * CHUNK, group="others")
    yard.log.skip(ZERO, CHUNK)
    assert await yard.listed() == [lonely]


async def test_a_look_ends_after_so_many_records_and_says_so() -> None:
    yard = Yard()
    yard.bury(ZERO)
    yard.bury(ZERO, count=MOST_READ + CHUNK, group="others")
    found = await yard.graves.newest("pricing", DEAD, most=10)
    assert (found.letters, found.is_complete) == ([], False)


async def test_values_are_there_only_if_they_are_asked_for() -> None:
    yard = Yard()
    yard.bury()
    [(without, _)] = (await yard.graves.newest("pricing", DEAD, most=1)).letters
    [(with_it, _)] = (await yard.graves.newest("pricing", DEAD, most=1, with_values=True)).letters
    assert (without.value, with_it.value) == (None, b"v")


async def test_a_topic_that_is_missing_is_told() -> None:
    with pytest.raises(TopicMissing):
        await Yard().graves.newest("pricing", "nowhere", most=1)


# ---- replaying


async def test_named_letters_go_back_to_their_partition_and_are_remembered() -> None:
    yard = Yard()
    _, second, _ = yard.bury(ONE, count=3)
    done = await yard.graves.replay("pricing", DEAD, [second])
    assert (list(done.written), done.troubles, done.is_remembered) == ([second], {}, True)
    [record] = yard.written.letters
    assert (record.topic, record.partition) == ("orders", 3)
    found = await yard.graves.newest("pricing", DEAD, most=9)
    assert [is_replayed for _, is_replayed in found.letters] == [False, True, False]


async def test_all_replays_each_once_also_those_replayed_by_name_before() -> None:
    yard = Yard()
    names = [*yard.bury(ZERO, count=3), *yard.bury(ONE, count=2)]
    yard.bury(ZERO, group="others")
    await yard.graves.replay("pricing", DEAD, [names[1]])
    done = await yard.replay_all()
    assert (sorted(done.written), done.is_complete) == (sorted({*names} - {names[1]}), True)
    assert (await yard.replay_all()).written == {}
    [later] = yard.bury(ZERO)
    assert list((await yard.replay_all()).written) == [later]
    assert sorted(yard.sent) == sorted([*names, later])


async def test_groups_remember_for_themselves() -> None:
    yard = Yard()
    yard.bury()
    [theirs] = yard.bury(group="others")
    await yard.replay_all()
    assert list((await yard.graves.replay_all("others", DEAD)).written) == [theirs]


async def test_many_are_replayed_in_turns() -> None:
    yard = Yard()
    names = yard.bury(ZERO, count=2 * CHUNK + 1)
    turns = []
    while not (done := await yard.replay_all()).is_complete:
        turns.append(len(done.written))
    assert turns == [CHUNK, CHUNK]
    assert yard.sent == names


async def test_what_cannot_be_written_is_told_why_and_tried_again() -> None:
    yard = Yard()
    first, second, third = yard.bury(ZERO, count=3)
    yard.written.errors = [TopicMissing("no such topic")]
    done = await yard.replay_all()
    assert (list(done.written), done.troubles) == ([second, third], {first: "no such topic"})
    assert list((await yard.replay_all()).written) == [first]


async def test_a_letter_without_its_record_stays_and_says_where_the_record_is() -> None:
    yard = Yard()
    [empty] = yard.bury(omitted="record_too_large")
    for done in (await yard.replay_all(), await yard.graves.replay("pricing", DEAD, [empty])):
        assert done.written == {}
        assert "orders:3:0" in done.troubles[empty]


async def test_what_is_not_the_groups_letter_is_named() -> None:
    yard = Yard()
    [theirs] = yard.bury(group="others")
    done = await yard.graves.replay("pricing", DEAD, [theirs, f"{DEAD}:0:99", f"{DEAD}:7:0"])
    assert done.written == {}
    assert len(done.troubles) == 3


@pytest.mark.parametrize("name", ["x", "orders:0:1", f"{DEAD}:0", f"{DEAD}:0:-1"])
async def test_what_is_no_id_is_refused_and_nothing_replayed(name: str) -> None:
    yard = Yard()
    with pytest.raises(FieldInvalid, match="no id of a dead letter"):
        await yard.graves.replay("pricing", DEAD, [*yard.bury(), name])
    assert yard.written.letters == []


async def test_too_many_names_are_refused() -> None:
    yard = Yard()
    with pytest.raises(FieldInvalid):
        await yard.graves.replay("pricing", DEAD, yard.bury(count=MOST_REPLAYED + 1))


async def test_what_kafka_could_not_remember_is_told_and_was_written_all_the_same() -> None:
    yard = Yard()
    yard.bury()
    yard.marks.is_away = True
    done = await yard.replay_all()
    assert (len(done.written), done.is_remembered) == (1, False)


async def test_what_retention_has_taken_is_passed_over() -> None:
    yard = Yard()
    names = yard.bury(ZERO, count=5)
    yard.log.retain(ZERO, 3)
    assert list((await yard.replay_all()).written) == names[3:]


# ---- what is remembered


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 9)), max_size=30), st.integers(0, 100))
def test_what_is_remembered_is_what_was_replayed(spans: list[tuple[int, int]], begins: int) -> None:
    replayed = Replayed(None, begins)
    expected = set(range(begins))
    for start, length in spans:
        replayed.add(start, start + length, but=[start + length // 2])
        expected |= {*range(start, start + length)} - {start + length // 2}
    again = Replayed(replayed.commit(), begins)
    assert {offset for offset in range(300) if offset in again} == expected
    assert {o for start, end in again.left(300) for o in range(start, end)} == {*range(300)} - expected


def test_as_many_holes_as_are_taken_fit_into_a_commit() -> None:
    replayed = Replayed(None, 0)
    offset = 1 << 40
    while not replayed.is_full:
        replayed.add(offset, offset + 1)
        offset += 5_000
    again = Replayed(replayed.commit(), 0)
    assert offset - 5_000 in again
    assert (MAX_HOLES, again.is_full) == (500, True)
