"""What `stepbridge groups` and its commands ask of a running bridge, and how they show it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import typer

from proxy.cli.exits import FAILED, OK, CommandFailed
from proxy.cli.remote import ask, member, show
from proxy.cli.tables import on_terminal, print_table

AT_ONCE = 50  # dead letters named in one request


def show_groups(admin: str, *, as_json: bool, partitions: bool = False, workers: bool = False) -> int:
    """A line a group; or a line a partition, or a worker."""
    table = _print_partitions if partitions else _print_workers if workers else _print_groups
    return show(admin, "groups", as_json, table)


def seek_group(admin: str, group: str, to: str, topic: str | None, partition: int | None, *, as_json: bool) -> int:
    """FAILED if some partitions were not moved."""
    named = {"to": to, "topic": topic, "partition": partition}
    status, document = ask(admin, _path(group, "seek", [(k, v) for k, v in named.items() if v is not None]), "POST")
    moved = document["moved"] if "moved" in document else member(admin, "moved", status, document)
    if as_json:
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    else:
        print_table(("PARTITION", "FROM", "TO", "TROUBLE"), [_moved(each) for each in moved])
    return FAILED if any(each["trouble"] for each in moved) else OK


def skip_record(admin: str, group: str, record: str) -> int:
    status, document = ask(admin, _path(group, "skip", [("record", record)]), "POST")
    is_skipped = member(admin, "skipped", status, document, bool)
    typer.echo("skipped" if is_skipped else "it was settled before: there was nothing to skip")
    return OK


def list_dead(admin: str, group: str, most: int, *, with_values: bool, as_json: bool) -> int:
    asked = [("max", most), *([("values", 1)] if with_values else [])]
    status, document = ask(admin, _path(group, "dead", asked), "GET")
    letters = member(admin, "letters", status, document)
    if as_json:
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        return OK
    headings = ("ID", "RECORD", "DELIVERIES", "REASON", "TIME", "KEY", "REPLAYED", *(("VALUE",) if with_values else ()))
    print_table(headings, [_letter(letter, with_values) for letter in letters])
    if not document.get("is_complete"):
        typer.echo("There are older ones: --max, or read the topic itself.", err=True)
    return OK


def replay_dead(admin: str, group: str, ids: Sequence[str] | None) -> int:
    """FAILED if some could not be replayed."""
    is_well = True
    for document in _replays(admin, group, ids):
        for each in document["replayed"]:
            typer.echo(f"{each['id']} replayed, to {each['to']}")
        for each in document["troubles"]:
            typer.echo(f"{each['id']} not replayed: {each['detail']}", err=True)
        if not document["is_remembered"]:
            typer.echo("Kafka could not be told what was replayed: --all would replay it again.", err=True)
        is_well &= document["is_remembered"] and not document["troubles"]
    return OK if is_well else FAILED


def _replays(admin: str, group: str, ids: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """One answer after the other. Of all, as long as there is something new in them."""
    if ids is not None:
        for at in range(0, len(ids), AT_ONCE):
            yield _replay(admin, group, [("id", name) for name in ids[at : at + AT_ONCE]])
        return
    while True:
        document = _replay(admin, group, [("all", "1")])
        yield document
        if document["is_complete"]:
            return
        if not document["replayed"] or not document["is_remembered"]:
            raise CommandFailed("not all were looked at, and the bridge gets no further now. Try again later.")


def _replay(admin: str, group: str, asked: list[tuple[str, Any]]) -> dict[str, Any]:
    status, document = ask(admin, _path(group, "replay", asked), "POST")
    member(admin, "replayed", status, document)
    return document


def _path(group: str, what: str, asked: Sequence[tuple[str, Any]]) -> str:
    return f"groups/{quote(group, safe='')}/{what}?{urlencode(asked)}"


# ---- tables


def _print_groups(groups: list[dict[str, Any]]) -> None:
    headings = ("GROUP", "WORKERS", "PARTITIONS", "LAG", "LEASED", "OLDEST", "WAITING", "REDELIVERED", "DEAD")
    print_table(headings, [_group(group) for group in groups])


def _group(group: dict[str, Any]) -> tuple[str, ...]:
    return (
        group["group"],
        _workers(group["members"]),
        _trouble(group) or _partitions(group["partitions"]) or "none",
        str(group["lag"]),
        str(group["leases_out"]),
        _seconds(group["oldest_lease_s"]),
        str(group["waiting"]),
        str(group["redeliveries"]),
        str(group["dead_letters"]),
    )


def _workers(members: list[dict[str, Any]]) -> str:
    gone = sum(not each["is_reachable"] for each in members)
    return f"{len(members)}, {gone} unreachable" if gone else str(len(members))


def _trouble(group: dict[str, Any]) -> str:
    if group["trouble"]:
        return f"not joined: {group['trouble']}"
    if group["is_fenced"]:
        return "fenced: Kafka has not heard of us for a session timeout"
    return "" if group["is_joined"] else "joining"


def _partitions(partitions: list[dict[str, Any]]) -> str:
    """`retail.sales 0,1,2`: a topic after the other, with its partitions."""
    of_topic: dict[str, list[int]] = {}
    for one in sorted(partitions, key=lambda one: (one["topic"], one["partition"])):
        of_topic.setdefault(one["topic"], []).append(one["partition"])
    between = "\n" if on_terminal() else "; "
    return between.join(f"{topic} {','.join(map(str, numbers))}" for topic, numbers in of_topic.items())


def _print_partitions(groups: list[dict[str, Any]]) -> None:
    headings = ("GROUP", "PARTITION", "WORKER", "COMMITTED", "END", "LAG", "LEASED", "OLDEST", "HOLES", "OPEN", "DYING")
    print_table(headings, [_partition(group, each) for group in groups for each in group["partitions"]])


def _partition(group: dict[str, Any], one: dict[str, Any]) -> tuple[str, ...]:
    numbers = (_known(one[name]) for name in ("committable", "end", "lag", "leases_out"))
    held = (_known(one[name]) for name in ("holes", "open_records", "dead_waiting"))
    named = (group["group"], f"{one['topic']}:{one['partition']}", one["owner"] or "")
    return (*named, *numbers, _seconds(one["oldest_lease_s"]), *held)


def _print_workers(groups: list[dict[str, Any]]) -> None:
    headings = ("GROUP", "WORKER", "STATE", "PARTITIONS", "WAITING", "STREAMS")
    print_table(headings, [_worker(group, each) for group in groups for each in group["members"]])


def _worker(group: dict[str, Any], one: dict[str, Any]) -> tuple[str, ...]:
    state = (_trouble(one) or "ok") if one["is_reachable"] else "unreachable"
    between = "\n" if on_terminal() else "; "
    address = one["address"] or "this one"
    return (
        *(group["group"], address, state, between.join(one["partitions"]) or "none"),
        *(_known(one["waiting"]), _known(one["streams"])),
    )


def _moved(one: dict[str, Any]) -> tuple[str, ...]:
    return f"{one['topic']}:{one['partition']}", _known(one["from"]), _known(one["to"]), one["trouble"] or ""


def _letter(letter: dict[str, Any], with_value: bool) -> tuple[str, ...]:
    at = datetime.fromtimestamp(letter["timestamp_ms"] / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    told = (letter["id"], letter["origin"], str(letter["deliveries"]), letter["reason"], at, _as_text(letter["key"]))
    replayed = "yes" if letter["is_replayed"] else "no"
    return (*told, replayed, *((letter["omitted"] or _as_text(letter["value"]),) if with_value else ()))


def _as_text(shown: Any) -> str:
    """A key or a value on one line."""
    return shown if isinstance(shown, str) and shown.isprintable() else orjson.dumps(shown).decode()


def _known(number: int | None) -> str:
    return "" if number is None else str(number)


def _seconds(age_s: float | None) -> str:
    return "" if age_s is None else f"{age_s:.1f} s"
