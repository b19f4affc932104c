"""`stepbridge migrate` against a scripted bridge, behind the real admin side."""

import getpass
import json
import socket

from proxy.migrate.refusals import StepRefused
from proxy.migrate.stages import Setting
from tests.unit.admin.scripted import ScriptedOperations
from tests.unit.cli.conftest import Run, rows

ROUTE = {
    "name": "orders",
    "stage": "dual",
    "rollout": "25%",
    "source": "control topic",
    "epoch": 3,
    "changing": None,
    "set": {"who": "ann@desk", "why": "it is time"},
    "under_way": 2,
    "held": 0,
    "is_fresh": True,
    "trouble": None,
    "replica": "shop-1:8080/0-abc",
    "confirmed": {"shop-1:8080/0-abc": {"epoch": 3, "is": "applied"}},
}
CHANGE = {
    "epoch": 3,
    "at_ms": 1_000_000_000_000,
    "before": {"stage": "shadow", "rollout": "100%"},
    "who": "ann@desk",
    "setting": {"stage": "dual", "rollout": "25%"},
    "outcome": "activated",
    "why": "it is time",
    "reason": "",
    "accepted": {"violations": 2},
}


def test_the_status_has_a_line_a_route_and_one_a_replica(run: Run, admin: str, operations: ScriptedOperations) -> None:
    operations.control.route = ROUTE
    operations.control.replicas = [{"id": "shop-1:8080/0-abc", "pid": 7, "silent_s": 0.41, "is_live": True}]
    code, out, err = run("migrate", "status", "--admin", admin)
    assert (code, err) == (0, "")
    assert rows(out) == [
        ["ROUTE", "STAGE", "FROM", "CHANGE", "SET BY", "WHY", "UNDER WAY", "HELD", "CHANGING TO"],
        ["orders", "dual 25%", "control topic", "3", "ann@desk", "it is time", "2", "0", "–"],
        ["LIVE", "REPLICA", "PID", "LAST HEARD OF"],
        ["ok", "shop-1:8080/0-abc", "7", "0.4 s ago"],
    ]


def test_the_status_of_one_route_says_who_has_confirmed(run: Run, admin: str, operations: ScriptedOperations) -> None:
    operations.control.route = {**ROUTE, "is_fresh": False, "trouble": "Kafka cannot be reached."}
    code, out, err = run("migrate", "status", "orders", "--admin", admin)
    assert code == 0
    assert ["shop-1:8080/0-abc", "3", "applied"] in rows(out)
    assert "does not know as of now" in err
    assert "Kafka cannot be reached." in err


def test_a_change_says_who_asks_and_who_has_confirmed(run: Run, admin: str, operations: ScriptedOperations) -> None:
    words = ["set", "orders", "dual", "--rollout", "25%", "--why", "it is time", "--accept-violations", "2"]
    code, out, _ = run("migrate", *words, "--admin", admin)
    assert code == 0
    assert "orders is at dual 25%, as of change 1" in out
    [wish] = operations.control.wishes
    assert (wish.setting, wish.why, wish.accepted) == (Setting("dual", 2_500), "it is time", {"violations": 2})
    assert wish.who == f"{getpass.getuser()}@{socket.gethostname()}"


def test_a_change_that_somebody_may_not_serve_ends_with_1(run: Run, admin: str, operations: ScriptedOperations) -> None:
    operations.control.unconfirmed = [{"replica": "shop-2:8080/0-def", "why": "was last heard of 9 s ago"}]
    code, out, _ = run("migrate", "set", "orders", "shadow", "--who", "ann", "--admin", admin)
    assert code == 1
    assert ["warn", "shop-2:8080/0-def", "was last heard of 9 s ago"] in rows(out)
    assert operations.control.wishes[0].who == "ann"


def test_a_refusal_is_shown_with_its_numbers(run: Run, admin: str, operations: ScriptedOperations) -> None:
    operations.control.refusal = StepRefused("Refused: the old service has not seen 37 records.")
    code, _, err = run("migrate", "set", "orders", "legacy", "--admin", admin)
    assert code == 1
    assert "409: Refused: the old service has not seen 37 records." in err


def test_the_history_is_a_line_a_change(run: Run, admin: str, operations: ScriptedOperations) -> None:
    operations.control.history = [CHANGE]
    _, out, _ = run("migrate", "history", "orders", "--admin", admin)
    line = [
        "3",
        "2001-09-09T01:46:40Z",
        "shadow",
        "dual 25%",
        "activated",
        "ann@desk",
        "it is time",
        "violations:2",
        "–",
    ]
    assert rows(out)[1] == line
    _, out, _ = run("migrate", "history", "orders", "--json", "--admin", admin)
    assert json.loads(out) == [CHANGE]
