"""Commands that move a group, against a scripted bridge behind the real admin side."""

import orjson
import pytest

from proxy.admin.operations import LetterState
from proxy.consume.dead.graves import Replay
from proxy.consume.groups.control import Moved
from proxy.consume.groups.whence import Whence
from proxy.errors import FieldInvalid
from proxy.record import Partition
from tests.unit.admin.scripted import ScriptedGroup, ScriptedOperations
from tests.unit.cli.conftest import Run, rows

NOON_MS = 1_700_000_000_000


@pytest.fixture
def shops(operations: ScriptedOperations) -> ScriptedGroup:
    return operations.controls["shops"]


def letter(offset: int, *, is_replayed: bool = False, value: bytes = b'{"a": 1}') -> LetterState:
    at = f"orders.dead:0:{offset}"
    return LetterState(at, "orders:3:7", 5, "rejected", NOON_MS, "k", is_replayed, None, orjson.Fragment(value), "json")


def test_a_seek_is_a_line_a_partition(run: Run, admin: str, shops: ScriptedGroup) -> None:
    shops.moved = [Moved(Partition("orders", 0), 9, 5), Moved(Partition("orders", 1), None, 5)]
    code, out, _ = run("groups", "seek", "shops", "--to", "5", "--topic", "orders", "--admin", admin)
    assert code == 0
    assert rows(out) == [
        ["PARTITION", "FROM", "TO", "TROUBLE"],
        ["orders:0", "9", "5", "–"],
        ["orders:1", "–", "5", "–"],
    ]
    assert shops.told == [("seek", Whence("offset", 5), "orders", None)]


def test_a_seek_takes_a_time_and_a_partition(run: Run, admin: str, shops: ScriptedGroup) -> None:
    assert (
        run("groups", "seek", "shops", "--to", "2023-11-15T00:13:20+02:00", "--partition", 0, "--admin", admin).code
        == 0
    )
    assert shops.told == [("seek", Whence("time", NOON_MS), None, 0)]


@pytest.mark.parametrize("moved", [[("x", None)], [("x", 9), (None, 9)]])
def test_a_partition_that_was_not_moved_makes_it_1(
    run: Run, admin: str, shops: ScriptedGroup, moved: list[tuple[str | None, int | None]]
) -> None:
    shops.moved = [Moved(Partition("orders", n), before, 5, trouble) for n, (trouble, before) in enumerate(moved)]
    code, out, _ = run("groups", "seek", "shops", "--to", "5", "--admin", admin)
    assert code == 1
    assert rows(out)[1][-1] == "x"


def test_a_refused_seek_says_why(run: Run, admin: str, shops: ScriptedGroup) -> None:
    shops.error = FieldInvalid("Offset 9 is outside of the log, which is orders:0 from 0 to 5.")
    code, out, err = run("groups", "seek", "shops", "--to", "9", "--admin", admin)
    assert (code, out) == (1, "")
    assert (
        err == "stepbridge: the bridge answered 422: Offset 9 is outside of the log, which is orders:0 from 0 to 5.\n"
    )


def test_the_admin_sides_address_may_stand_before_or_behind(run: Run, admin: str, shops: ScriptedGroup) -> None:
    assert run("groups", "--admin", admin, "seek", "shops", "--to", "end").code == 0
    assert run("groups", "--admin", "nowhere:1", "seek", "shops", "--to", "end", "--admin", admin).code == 0
    assert len(shops.told) == 2


def test_a_record_is_skipped_or_was_settled(run: Run, admin: str, shops: ScriptedGroup) -> None:
    assert run("groups", "skip", "shops", "orders:0:7", "--admin", admin) == (0, "skipped\n", "")
    shops.is_skipped = False
    assert "settled before" in run("groups", "skip", "shops", "orders:0:7", "--admin", admin).out
    assert shops.told == [("skip", Partition("orders", 0), 7)] * 2
    assert run("groups", "skip", "shops", "orders", "--admin", admin).code == 1


def test_dead_letters_are_a_line_each(run: Run, admin: str, shops: ScriptedGroup) -> None:
    shops.letters = [letter(2), letter(1, is_replayed=True)]
    code, out, err = run("groups", "dead", "shops", "--admin", admin)
    assert (code, err) == (0, "")
    assert rows(out) == [
        ["ID", "RECORD", "DELIVERIES", "REASON", "TIME", "KEY", "REPLAYED"],
        ["orders.dead:0:2", "orders:3:7", "5", "rejected", "2023-11-14T22:13:20Z", "k", "no"],
        ["orders.dead:0:1", "orders:3:7", "5", "rejected", "2023-11-14T22:13:20Z", "k", "yes"],
    ]


def test_dead_letters_show_values_on_one_line_if_asked(run: Run, admin: str, shops: ScriptedGroup) -> None:
    shops.letters = [letter(1), letter(0, value=b'"two\\nlines"')]
    _, out, err = run("groups", "dead", "shops", "--max", 2, "--values", "--admin", admin)
    assert [row[-1] for row in rows(out)] == ["VALUE", '{"a":1}', '"two\\nlines"']
    assert err == ""


def test_that_there_are_more_dead_letters_is_said_beside_the_table(run: Run, admin: str, shops: ScriptedGroup) -> None:
    shops.letters = [letter(2), letter(1)]
    _, out, err = run("groups", "dead", "shops", "--max", 1, "--admin", admin)
    assert len(rows(out)) == 2
    assert "older" in err


def test_json_is_what_the_admin_side_says(run: Run, admin: str, shops: ScriptedGroup) -> None:
    shops.letters = [letter(2)]
    assert list(orjson.loads(run("groups", "dead", "shops", "--json", "--admin", admin).out)) == [
        "letters",
        "is_complete",
    ]
    assert list(orjson.loads(run("groups", "seek", "shops", "--to", "end", "--json", "--admin", admin).out)) == [
        "moved"
    ]


def test_named_letters_are_replayed_many_at_a_time(run: Run, admin: str, shops: ScriptedGroup) -> None:
    names = [f"orders.dead:0:{offset}" for offset in range(60)]
    shops.replays = [Replay({name: "orders:3:99"}) for name in names[:2]]
    code, out, _ = run("groups", "replay", "shops", *names, "--admin", admin)
    assert (code, out.splitlines()) == (0, [f"{name} replayed, to orders:3:99" for name in names[:2]])
    assert shops.told == [("replay", names[:50]), ("replay", names[50:])]


def test_all_are_replayed_until_nothing_is_left(run: Run, admin: str, shops: ScriptedGroup) -> None:
    shops.replays = [Replay({"d:0:1": "o:0:1"}, is_complete=False), Replay({"d:0:2": "o:0:2"})]
    code, out, _ = run("groups", "replay", "shops", "--all", "--admin", admin)
    assert (code, len(out.splitlines())) == (0, 2)
    assert shops.told == [("replay", None)] * 2


@pytest.mark.parametrize(
    "replay", [Replay({"d:0:1": "o:0:1"}, {"d:0:2": "gone"}), Replay({"d:0:1": "o:0:1"}, is_remembered=False)]
)
def test_what_was_not_replayed_or_not_remembered_makes_it_1(
    run: Run, admin: str, shops: ScriptedGroup, replay: Replay
) -> None:
    shops.replays = [replay]
    code, out, err = run("groups", "replay", "shops", "--all", "--admin", admin)
    assert (code, out) == (1, "d:0:1 replayed, to o:0:1\n")
    assert "gone" in err or "--all would replay it again" in err


def test_a_replay_that_gets_no_further_ends(run: Run, admin: str, shops: ScriptedGroup) -> None:
    shops.replays = [Replay(troubles={"d:0:1": "gone"}, is_complete=False)] * 9
    code, _, err = run("groups", "replay", "shops", "--all", "--admin", admin)
    assert code == 1
    assert "Try again later" in err
    assert len(shops.told) == 1


@pytest.mark.parametrize("words", [[], ["--all", "d:0:1"]])
def test_a_replay_is_of_some_or_of_all(run: Run, admin: str, shops: ScriptedGroup, words: list[str]) -> None:
    code, _, err = run("groups", "replay", "shops", *words, "--admin", admin)
    assert code == 2
    assert "Name dead letters, or write --all" in err
    assert shops.told == []


@pytest.mark.parametrize(
    "words",
    [["seek", "nobody", "--to", "end"], ["skip", "nobody", "o:0:0"], ["dead", "nobody"], ["replay", "nobody", "--all"]],
)
def test_a_group_that_nobody_reads_for_is_named(run: Run, admin: str, words: list[str]) -> None:
    code, _, err = run("groups", *words, "--admin", admin)
    assert code == 1
    assert "No route reads for a group 'nobody'; the groups are: shops." in err


@pytest.mark.parametrize("command", ["seek", "skip", "dead", "replay"])
def test_help_of_each_says_its_exit_codes(run: Run, command: str) -> None:
    code, out, _ = run("groups", command, "--help")
    assert code == 0
    assert "2  mistakes" in out
