"""`stepbridge migrate report` and `losses`: how ready a route is for the next stage."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson
import typer

from proxy.cli.exits import OK
from proxy.cli.remote import ask, member
from proxy.cli.tables import print_table

Json = Mapping[str, Any]


def show_report(admin: str, route: str, *, as_json: bool) -> int:
    """Print the readiness report of one route."""
    status, document = ask(admin, f"migration/{quote(route, safe='')}/report", "GET")
    member(admin, "requests", status, document, dict)
    if as_json:
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    else:
        _print_report(document)
    return OK


def show_losses(admin: str, route: str, *, as_json: bool) -> int:
    """Print what the shadow of one route lost, the newest first."""
    status, document = ask(admin, f"migration/{quote(route, safe='')}/losses", "GET")
    losses = member(admin, "losses", status, document)
    if as_json:
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    else:
        headings = ("LOST AT", "REASON", "KEY", "REQUEST", "DETAIL")
        print_table(headings, [_loss(loss) for loss in losses])
    return OK


def _loss(loss: Json) -> tuple[str, ...]:
    return _moment(loss["time_ms"]), loss["reason"], loss["key"] or "", loss["request_id"], loss["detail"]


def _print_report(told: Json) -> None:
    stages = told["requests"]["by_stage"]
    print_table(
        ("STAGE", "REQUESTS", "SHARE"),
        [(stage, str(each["requests"]), _percent(each["share"])) for stage, each in stages.items()],
    )
    typer.echo()
    print_table(("WHAT", "SO FAR"), list(_facts(told)))
    _print_kinds("VIOLATION AT", "EXAMPLE", told["violations"]["kinds"], _violation)
    _print_kinds("ANSWERS DIFFER", "WE WOULD, IT DID", told["compared"]["mismatches"], _mismatch)
    _print_kinds("IT DIFFERS FROM ITSELF", "FIRST, SECOND", told["compared"]["noise"], _mismatch)
    callers = told["callers"]["latest"]
    if callers:
        typer.echo()
        rows = [(each["caller"], str(each["requests"]), _moment(each["last_ms"])) for each in callers]
        print_table(("CALLER ON THE OLD PATH", "REQUESTS", "LAST"), rows)


def _facts(told: Json) -> Iterable[tuple[str, str]]:
    shadow, dual, compared, callers = told["shadow"], told["dual"], told["compared"], told["callers"]
    yield "shadow success", _percent(shadow["success_ratio"])
    yield "shadow written", str(shadow["written"])
    yield "shadow lost", _with(shadow["lost"], shadow["losses_by_reason"])
    yield "last loss", _moment(shadow["last_loss_ms"])
    yield "in the shadow's queue", f"{shadow['depth']} of {shadow['bound']}"
    yield "violations", _with(sum(told["violations"]["by_stage"].values()), told["violations"]["by_stage"])
    yield "dual diverged", _with(dual["diverged"], dual["parted"])
    yield "same answers", _with(f"{_percent(compared['same_ratio'])} of {_compared(compared)}", compared["skipped"])
    for side in ("legacy", "kafka"):
        yield f"{side} latency", _latency(told["latency"][side])
    yield "callers on the old path", f"{callers['known']}{' or more' if callers['forgotten'] else ''}"


def _compared(compared: Json) -> int:
    return int(compared["same"] + compared["different"])


def _with(total: object, parts: Json) -> str:
    """`7 (queue_full 4, not_written 3)`"""
    told = ", ".join(f"{name} {count}" for name, count in sorted(parts.items()))
    return f"{total} ({told})" if told else str(total)


def _latency(side: Json) -> str:
    if side["p50_ms"] is None:
        return ""
    return f"p50 {side['p50_ms']:.3g} ms, p99 {side['p99_ms']:.3g} ms"


def _print_kinds(heading: str, example: str, kinds: Sequence[Json], shown: Any) -> None:
    if kinds:
        typer.echo()
        rows = [(each["kind"], str(each["count"]), _moment(each["last_ms"]), shown(each["example"])) for each in kinds]
        print_table((heading, "TIMES", "LAST", example), rows)


def _violation(example: Json) -> str:
    details = "; ".join(error.get("detail", "") for error in example["errors"])
    return f"{details} in {example['body']}"


def _mismatch(example: Json) -> str:
    return f"{example['would']}, {example['did']}"


def _moment(time_ms: int | None) -> str:
    if not time_ms:
        return ""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.4g}%"
