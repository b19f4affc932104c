"""What an operator does to a group, over HTTP: each request is one order, its words stand in the query."""

import base64
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest

from proxy.admin.app import admin_app
from proxy.admin.operations import LetterState
from proxy.consume.dead.graves import Replay
from proxy.consume.groups.control import Moved
from proxy.consume.groups.whence import Whence
from proxy.errors import PeerAway
from proxy.record import Partition
from tests.unit.admin.scripted import ScriptedGroup, ScriptedOperations
from tests.unit.admin.test_app import assert_problem

ORDERS = Partition("orders", 0)
LETTER = LetterState(
    "dead:0:1", "orders:0:7", 5, "rejected", 99, "k", False, None, orjson.Fragment(b'{"a": 1}'), "json"
)


@pytest.fixture
def shops() -> ScriptedGroup:
    return ScriptedGroup()


@pytest.fixture
async def admin(shops: ScriptedGroup) -> AsyncIterator[httpx.AsyncClient]:
    operations = ScriptedOperations(controls={"shops": shops, "eu/shops": shops})
    transport = httpx.ASGITransport(admin_app(operations), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin:9090") as client:
        yield client


# ---- seek


async def test_a_seek_tells_from_where_to_where(admin: httpx.AsyncClient, shops: ScriptedGroup) -> None:
    answer = await admin.post("/admin/groups/shops/seek?to=5&topic=orders&partition=0")
    assert (answer.status_code, answer.json()) == (
        200,
        {"moved": [{"topic": "orders", "partition": 0, "from": 9, "to": 5, "trouble": None}]},
    )
    assert shops.told == [("seek", Whence("offset", 5), "orders", 0)]


@pytest.mark.parametrize(
    ("to", "whence"), [("begin", Whence("begin")), ("2001-09-09T01:46:40Z", Whence("time", 10**12))]
)
async def test_a_seek_takes_words_and_times(
    admin: httpx.AsyncClient, shops: ScriptedGroup, to: str, whence: Whence
) -> None:
    assert (await admin.post(f"/admin/groups/shops/seek?to={to}")).status_code == 200
    assert shops.told == [("seek", whence, None, None)]


async def test_a_seek_of_which_some_partitions_were_not_moved_is_207(
    admin: httpx.AsyncClient, shops: ScriptedGroup
) -> None:
    shops.moved = [Moved(ORDERS, 9, 5), Moved(Partition("orders", 1), None, 5, "not reached")]
    answer = await admin.post("/admin/groups/shops/seek?to=5")
    assert answer.status_code == 207
    assert [each["trouble"] for each in answer.json()["moved"]] == [None, "not reached"]


async def test_a_seek_that_moved_nothing_is_503_and_says_why(admin: httpx.AsyncClient, shops: ScriptedGroup) -> None:
    shops.moved = [Moved(ORDERS, None, 5, "not reached")]
    answer = await admin.post("/admin/groups/shops/seek?to=5")
    assert_problem(answer, 503, "not_moved")
    assert "not reached" in answer.json()["detail"]
    assert answer.json()["moved"][0]["partition"] == 0


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "field_missing"),
        ("to=", "field_missing"),
        ("to=tomorrow", "field_invalid"),
        ("to=1&partition=x", "field_invalid"),
        ("to=1&partition=-1", "field_invalid"),
        ("to=1&partition=99999999999", "field_invalid"),
    ],
)
async def test_a_seek_that_cannot_be_understood_moves_nothing(
    admin: httpx.AsyncClient, shops: ScriptedGroup, query: str, code: str
) -> None:
    assert_problem(await admin.post(f"/admin/groups/shops/seek?{query}"), 422, code)
    assert shops.told == []


# ---- skip


async def test_a_record_is_skipped_once(admin: httpx.AsyncClient, shops: ScriptedGroup) -> None:
    for shops.is_skipped in (True, False):
        answer = await admin.post("/admin/groups/shops/skip?record=orders:0:7")
        assert (answer.status_code, answer.json()) == (200, {"record": "orders:0:7", "skipped": shops.is_skipped})
    assert shops.told == [("skip", ORDERS, 7)] * 2


@pytest.mark.parametrize(("query", "code"), [("", "field_missing"), ("record=orders:0", "field_invalid")])
async def test_what_is_no_record_is_not_skipped(
    admin: httpx.AsyncClient, shops: ScriptedGroup, query: str, code: str
) -> None:
    assert_problem(await admin.post(f"/admin/groups/shops/skip?{query}"), 422, code)
    assert shops.told == []


async def test_what_the_group_refuses_is_passed_on(admin: httpx.AsyncClient, shops: ScriptedGroup) -> None:
    shops.error = PeerAway("its worker cannot be reached")
    assert_problem(await admin.post("/admin/groups/shops/skip?record=orders:0:7"), 503, "peer_unavailable")


# ---- dead letters


async def test_dead_letters_are_listed_without_their_values(admin: httpx.AsyncClient, shops: ScriptedGroup) -> None:
    shops.letters = [LETTER]
    answer = await admin.get("/admin/groups/shops/dead")
    assert answer.json() == {
        "letters": [
            {
                "id": "dead:0:1",
                "origin": "orders:0:7",
                "deliveries": 5,
                "reason": "rejected",
                "timestamp_ms": 99,
                "key": "k",
                "is_replayed": False,
                "omitted": None,
            }
        ],
        "is_complete": True,
    }
    assert shops.told == [("dead", 100, False)]


async def test_values_of_dead_letters_are_as_readers_get_them(admin: httpx.AsyncClient, shops: ScriptedGroup) -> None:
    shops.letters = [LETTER, LETTER]
    answer = (await admin.get("/admin/groups/shops/dead?values=1&max=1")).json()
    assert (answer["letters"][0]["value"], answer["letters"][0]["encoding"]) == ({"a": 1}, "json")
    assert (len(answer["letters"]), answer["is_complete"]) == (1, False)
    assert shops.told == [("dead", 1, True)]


@pytest.mark.parametrize("most", ["0", "1001", "x", ""])
async def test_a_list_is_of_1_to_1000(admin: httpx.AsyncClient, most: str) -> None:
    assert_problem(await admin.get(f"/admin/groups/shops/dead?max={most}"), 422, "field_invalid")


async def test_a_replay_tells_what_was_written_where_and_what_was_not(
    admin: httpx.AsyncClient, shops: ScriptedGroup
) -> None:
    shops.replays = [Replay({"dead:0:1": "orders:0:99"}, {"dead:0:2": "gone"}), Replay(is_complete=False)]
    answer = await admin.post("/admin/groups/shops/replay?id=dead:0:1&id=dead:0:2")
    assert answer.json() == {
        "replayed": [{"id": "dead:0:1", "to": "orders:0:99"}],
        "troubles": [{"id": "dead:0:2", "detail": "gone"}],
        "is_complete": True,
        "is_remembered": True,
    }
    assert (await admin.post("/admin/groups/shops/replay?all=1")).json()["is_complete"] is False
    assert shops.told == [("replay", ["dead:0:1", "dead:0:2"]), ("replay", None)]


@pytest.mark.parametrize("query", ["", "all=0", "all=1&id=dead:0:1"])
async def test_a_replay_is_of_some_or_of_all(admin: httpx.AsyncClient, shops: ScriptedGroup, query: str) -> None:
    assert_problem(await admin.post(f"/admin/groups/shops/replay?{query}"), 422, "field_missing")
    assert shops.told == []


# ---- all of them


@pytest.mark.parametrize(
    ("method", "what"),
    [("POST", "seek?to=end"), ("POST", "skip?record=a:0:0"), ("GET", "dead"), ("POST", "replay?all=1")],
)
async def test_a_group_that_nobody_reads_for_is_404_and_named(admin: httpx.AsyncClient, method: str, what: str) -> None:
    answer = await admin.request(method, f"/admin/groups/nobody/{what}")
    assert_problem(answer, 404, "no_group")
    assert "shops" in answer.json()["detail"]


async def test_a_groups_name_may_have_slashes(admin: httpx.AsyncClient, shops: ScriptedGroup) -> None:
    assert (await admin.post("/admin/groups/eu%2Fshops/seek?to=end")).status_code == 200
    assert len(shops.told) == 1


@pytest.mark.parametrize("what", ["seek?to=end", "skip?record=a:0:0", "replay?all=1"])
async def test_another_sites_page_can_do_nothing_and_a_get_neither(
    admin: httpx.AsyncClient, shops: ScriptedGroup, what: str
) -> None:
    path = f"/admin/groups/shops/{what}"
    assert_problem(await admin.post(path, headers={"origin": "http://evil.example"}), 403, "foreign_origin")
    assert_problem(await admin.get(path), 405, "method_not_allowed")
    assert_problem(await admin.post(path, content=b"x" * 1_025), 413, "too_large")
    assert shops.told == []


async def test_what_is_base64_stays_so(admin: httpx.AsyncClient, shops: ScriptedGroup) -> None:
    key = {"base64": base64.b64encode(b"\xff").decode()}
    shops.letters = [LetterState("dead:0:1", "orders:0:7", 5, "rejected", 99, key, True)]
    assert (await admin.get("/admin/groups/shops/dead")).json()["letters"][0]["key"] == key
