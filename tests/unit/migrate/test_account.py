"""What one route's migration has come to."""

from collections.abc import Callable

import pytest

from proxy.config.migration import Compare
from proxy.migrate.account import Account
from proxy.migrate.callers import MAX_CALLERS, MAX_NAME
from proxy.migrate.compare import Comparer
from proxy.migrate.kinds import EXAMPLE_FOR_MS, MAX_KINDS, OTHERS
from proxy.migrate.redaction import Redaction
from proxy.routes.intake import faults_of


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(clock: Clock) -> Account:
    faults = faults_of({"properties": {"qty": {"type": "integer"}}, "required": ["qty"]})
    return Account("orders", Redaction(None), faults, wall_ms=clock)


def test_those_who_call_the_old_path_are_listed_the_latest_first(account: Account, clock: Clock) -> None:
    for stage, caller in [("legacy", "a"), ("shadow", "b"), ("dual", "c"), ("kafka", "d"), ("shadow", "a")]:
        account.request(stage, caller)  # type: ignore[arg-type]
        clock.now_ms += 1
    assert account.requests == {"legacy": 1, "shadow": 2, "dual": 1, "kafka": 1}
    assert account.notes()["callers"] == [
        {"caller": "a", "requests": 2, "last_ms": 1_000_004},
        {"caller": "b", "requests": 1, "last_ms": 1_000_001},
    ]


def test_callers_are_bounded_and_those_of_long_ago_go(account: Account) -> None:
    for number in range(MAX_CALLERS + 3):
        account.request("legacy", f"{number}{'x' * 500}")
        account.request("legacy", "steady")
    told = account.notes()
    assert len(told["callers"]) == MAX_CALLERS
    assert told["callers_forgotten"] == 4
    assert told["callers"][0]["caller"] == "steady"
    assert all(len(each["caller"]) <= MAX_NAME for each in told["callers"])


def test_violations_are_counted_at_the_stage_where_they_happened(account: Account) -> None:
    account.violated([{"pointer": "/qty", "detail": "is wrong"}], b"{}")
    account.violated([{"pointer": "/qty", "detail": "is wrong"}], b"{}", "kafka")
    assert account.violations == {"shadow": 1, "kafka": 1}
    assert [each["count"] for each in account.notes()["violations"]] == [2]


def test_what_the_shadow_sees_to_is_produced_or_lost(account: Account, clock: Clock) -> None:
    account.shadowed()
    account.violated([{"pointer": "/qty", "detail": "is wrong"}], b"{}")
    account.lost("schema_violation")
    account.lost("queue_full", 2)
    assert account.last_loss == clock.now_ms
    assert account.losses == {"schema_violation": 1, "queue_full": 2}
    assert account.violations_share() == (4, 1)


def test_an_example_shows_no_value_unless_the_file_says_so(account: Account) -> None:
    account.violated([{"pointer": "/qty", "detail": '"secret" is not of type "integer"'}], b'{"qty":"secret"}')
    (violation,) = account.notes()["violations"]
    assert violation["kind"] == "/qty"
    assert violation["example"] == {
        "errors": [{"pointer": "/qty", "detail": 'the value is not of type "integer"'}],
        "body": '{"qty":"<string>"}',
    }


def test_an_example_shows_all_where_the_file_says_so() -> None:
    account = Account("orders", Redaction(()))
    account.violated([{"pointer": "/qty", "detail": '"open" is not of type "integer"'}], b'{"qty":"open"}')
    (violation,) = account.notes()["violations"]
    assert violation["example"]["body"] == '{"qty":"open"}'
    assert violation["example"]["errors"][0]["detail"].startswith('"open"')


def test_violations_are_kept_by_kind_with_an_example_now_and_then(account: Account, clock: Clock) -> None:
    for qty in ("1", "2"):
        account.violated([{"pointer": f"/rows/{qty}/qty", "detail": "x"}], b'{"qty":"%s"}' % qty.encode())
    clock.now_ms += EXAMPLE_FOR_MS
    account.violated([{"pointer": "/rows/7/qty", "detail": "x"}], b'{"qty":[]}')
    (violation,) = account.notes()["violations"]
    assert (violation["kind"], violation["count"], violation["last_ms"]) == ("/rows/*/qty", 3, clock.now_ms)
    assert violation["example"]["body"] == '{"qty":[]}'


@pytest.mark.parametrize(
    "happens",
    [
        lambda account, name: account.violated([{"pointer": f"/{name}", "detail": "x"}], b"{}"),
        lambda account, name: account.compared(
            Comparer(Compare()).compare((200, (), b"{}"), (200, (), b'{"%s":1}' % name.encode()))
        ),
    ],
)
def test_kinds_are_bounded(account: Account, happens: Callable[[Account, str], None]) -> None:
    for number in range(MAX_KINDS + 5):
        happens(account, f"field-{number}")
    told = account.notes()
    kinds = told["violations"] or told["mismatches"]
    assert len(kinds) == MAX_KINDS + 1
    assert (kinds[0]["kind"], kinds[0]["count"]) == (OTHERS, 5)


def test_comparisons_are_counted_with_examples_that_hide_values(account: Account) -> None:
    comparer = Comparer(Compare())
    account.compared(comparer.compare((200, (), b'{"at":1}'), (200, (), b'{"at":1}')))
    account.compared(comparer.compare((200, (), b'{"at":1}'), (201, (), b'{"at":"x"}')))
    account.compared(comparer.compare((200, (), b""), (200, ((b"content-encoding", b"br"),), b"")))
    assert (account.compared_same, account.compared_different) == (1, 1)
    assert account.compared_skipped == {"encoded": 1}
    assert {each["kind"]: each["example"] for each in account.notes()["mismatches"]} == {
        "status": {"path": "", "would": 200, "did": 201},
        "type at": {"path": "at", "would": '"<number>"', "did": '"<string>"'},
    }


def test_examples_are_dropped_when_others_may_be_shown(account: Account) -> None:
    account.violated([], b"x")
    account.follow(Redaction(None), None)
    assert account.notes()["violations"]
    account.follow(Redaction(("qty",)), None)
    assert account.notes()["violations"] == []
    assert account.violations == {"shadow": 1}
