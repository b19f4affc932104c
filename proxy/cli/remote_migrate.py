"""What `stepbridge migrate` asks of a running bridge, and how it shows it."""

import getpass
import socket
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import typer
from rich.console import Console

from proxy.cli.exits import FAILED, OK
from proxy.cli.remote import ask, member
from proxy.cli.tables import on_terminal, print_table

CHANGE_S = 30.0  # longer than the bridge takes


@dataclass(frozen=True, slots=True)
class Asked:
    """A change as it was typed."""

    route: str
    stage: str
    rollout: str | None
    why: str
    who: str | None
    numbers: Mapping[str, int | None]

    def path(self) -> str:
        words = {"stage": self.stage, "rollout": self.rollout, "why": self.why, "who": self.who or whoami()}
        told = {name: each for name, each in {**words, **self.numbers}.items() if each not in (None, "")}
        return f"migration/{quote(self.route, safe='')}/set?{urlencode(told)}"


def show_status(admin: str, route: str | None, *, as_json: bool) -> int:
    """All routes, or one with the replicas that have confirmed its stage."""
    what = "migration" if route is None else f"migration/{quote(route, safe='')}"
    status, document = ask(admin, what, "GET")
    member(admin, "replica", status, document, str)
    if as_json:
        _print_json(document)
        return OK
    _print_routes(document["routes"] if route is None else [document])
    if route is None:
        _print_replicas(document["replicas"])
    else:
        _print_confirmed(document["confirmed"])
    if not document["is_fresh"]:
        trouble = document["trouble"] or "no word of it for some seconds"
        typer.echo(f"{document['replica']} does not know as of now what the control topic says: {trouble}", err=True)
    return OK


def change_stage(admin: str, asked: Asked, *, as_json: bool) -> int:
    """FAILED if some replica may not serve the stage."""
    with _waiting(f"{asked.route} goes to {asked.stage}: all live replicas take part …"):
        status, document = ask(admin, asked.path(), "POST", timeout_s=CHANGE_S)
    confirmed = member(admin, "confirmed", status, document)
    if as_json:
        _print_json(document)
    else:
        typer.echo(f"{asked.route} is at {_setting(document['setting'])}, as of change {document['epoch']}")
        rows = [("ok", name, "") for name in confirmed]
        rows += [("warn", each["replica"], each["why"]) for each in document["unconfirmed"]]
        print_table(("CONFIRMED", "REPLICA", "WHY NOT"), rows)
    return FAILED if document["unconfirmed"] else OK


def show_history(admin: str, route: str, *, as_json: bool) -> int:
    status, document = ask(admin, f"migration/{quote(route, safe='')}", "GET")
    history = member(admin, "history", status, document)
    if as_json:
        _print_json(history)
    else:
        headings = ("CHANGE", "TIME", "FROM", "TO", "OUTCOME", "WHO", "WHY", "ACCEPTED", "REASON")
        print_table(headings, [_change(each) for each in history])
    return OK


def whoami() -> str:
    """user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _waiting(text: str) -> Any:
    """Something that moves, where somebody looks."""
    return Console(stderr=True).status(text) if on_terminal() else nullcontext()


# ---- tables


def _print_json(document: Any) -> None:
    typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _print_routes(routes: list[dict[str, Any]]) -> None:
    headings = ("ROUTE", "STAGE", "FROM", "CHANGE", "SET BY", "WHY", "UNDER WAY", "HELD", "CHANGING TO")
    print_table(headings, [_route(each) for each in routes])


def _route(route: dict[str, Any]) -> tuple[str, ...]:
    said, changing = route["set"] or {}, route["changing"]
    numbers = (str(route["under_way"]), str(route["held"]))
    coming = _setting(changing["setting"]) if changing else ""
    told = (said.get("who", ""), said.get("why", ""))
    return (route["name"], _setting(route), route["source"], str(route["epoch"]), *told, *numbers, coming)


def _print_replicas(replicas: list[dict[str, Any]]) -> None:
    rows = [
        ("ok" if each["is_live"] else "warn", each["id"], str(each["pid"]), f"{each['silent_s']:.1f} s ago")
        for each in replicas
    ]
    print_table(("LIVE", "REPLICA", "PID", "LAST HEARD OF"), rows)


def _print_confirmed(confirmed: dict[str, dict[str, Any]]) -> None:
    rows = [(name, str(each["epoch"]), each["is"]) for name, each in confirmed.items()]
    print_table(("REPLICA", "CHANGE", "CONFIRMED"), rows)


def _change(change: dict[str, Any]) -> tuple[str, ...]:
    at = datetime.fromtimestamp(change["at_ms"] / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    accepted = " ".join(f"{name}:{number}" for name, number in sorted(change["accepted"].items()))
    way = (_setting(change["before"]), _setting(change["setting"]))
    return (str(change["epoch"]), at, *way, change["outcome"], change["who"], change["why"], accepted, change["reason"])


def _setting(said: Mapping[str, Any]) -> str:
    return said["stage"] if said["rollout"] == "100%" else f"{said['stage']} {said['rollout']}"
