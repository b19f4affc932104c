"""`stepbridge migrate replay`: has a running bridge send the service behind a route what it has not seen."""

import time
from typing import Any
from urllib.parse import quote

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from proxy.cli.exits import OK, CommandFailed
from proxy.cli.remote import ask, member

LOOK_S = 0.5
FAILED = 1


def replay(admin: str, route: str, *, follow: bool, skip_refused: bool, as_json: bool) -> int:
    """Begin one, and show how far it is until all is sent, or it has stopped. With `follow` it goes on by itself.

    Ctrl-C ends the looking, not the replay: `--stop` does.
    """
    way = f"migration/{quote(route, safe='')}/replay"
    status, document = ask(admin, f"{way}?follow={follow:d}&skip_refused={skip_refused:d}", "POST")
    run = member(admin, "run", status, document, str)
    state = _watch(admin, way, run, follow=follow, quiet=as_json)
    return _tell(route, state, as_json=as_json)


def stop(admin: str, route: str) -> int:
    """Have it stop after its batch."""
    status, document = ask(admin, f"migration/{quote(route, safe='')}/replay/stop", "POST")
    member(admin, "run", status, document, str)
    typer.echo(f"the replay of {route} stops after its batch")
    return OK


def _watch(admin: str, way: str, run: str, *, follow: bool, quiet: bool) -> dict[str, Any]:
    """Look until the run has ended, or, if it follows, has come up with the log. Returns its last state."""
    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("replaying", total=None)
        while True:
            status, state = ask(admin, way, "GET")
            left = member(admin, "left", status, state, int)
            if state["run"] == run:
                shown.update(task, completed=state["sent"], total=state["sent"] + left)
                if state["trouble"]:
                    shown.console.print(state["trouble"])
            if _is_over(state, run, left, follow=follow):
                return state
            time.sleep(LOOK_S)


def _is_over(state: dict[str, Any], run: str, left: int, *, follow: bool) -> bool:
    if state["run"] != run:  # not heard of yet, or another has taken its place
        return bool(state["run"].startswith("stop-"))
    return not state["runs"] or (follow and not left)


def _tell(route: str, state: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        typer.echo(orjson.dumps(state, option=orjson.OPT_INDENT_2))
        return OK if state["state"] in ("done", "following") else FAILED
    if state["state"] not in ("done", "following"):
        why = state["trouble"] or "It was told to."
        raise CommandFailed(f"the replay of {route} has stopped with {state['left']} records left. {why}")
    over = f", {state['refused']} passed over that it refused" if state["refused"] else ""
    goes_on = "; it goes on with what comes (--stop ends it)" if state["state"] == "following" else ""
    typer.echo(f"sent {state['sent']} records of {route}{over}, {state['left']} left{goes_on}")
    return OK
