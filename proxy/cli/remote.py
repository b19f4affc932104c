"""Commands that talk to a running bridge, through its admin side."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import orjson
import typer

from proxy.cli.exits import MISTAKES, OK, CommandFailed
from proxy.cli.tables import ARROWS, on_terminal, print_table

TIMEOUT_S = 10.0


def show_routes(admin: str, *, as_json: bool) -> int:
    return _show(admin, "/admin/routes", as_json, _print_routes)


def show_groups(admin: str, *, as_json: bool) -> int:
    return _show(admin, "/admin/groups", as_json, _print_groups)


def reload_bridge(admin: str) -> int:
    """Print what changed, or the mistakes that kept it from changing."""
    status, document = ask(admin, "/admin/reload", "POST")
    if "mistakes" in document:
        typer.echo("\n".join(document["mistakes"]))
        return MISTAKES
    _expect_ok(status, document)
    typer.echo("\n".join(document["changed"]) or "nothing changed")
    return OK


def ask(admin: str, path: str, method: str = "GET") -> tuple[int, dict[str, Any]]:
    """Status and document of one request to the admin side. Raises CommandFailed."""
    url = (admin if "://" in admin else f"http://{admin}").rstrip("/") + path
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # an operator's proxy does not know the way
    try:
        with opener.open(urllib.request.Request(url, method=method), timeout=TIMEOUT_S) as answer:
            return answer.status, _document(url, answer.read())
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, _document(url, exc.read())
    except (OSError, http.client.HTTPException, ValueError) as exc:
        reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
        raise CommandFailed(
            f"no bridge answers at {url} ({reason}). Does it run, and is this its admin side (--admin URL)?"
        ) from exc


def _document(url: str, body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise CommandFailed(
            f"what answers at {url} is no bridge's admin side (by default on port 9090). Use --admin URL."
        )
    return document


def _show(admin: str, path: str, as_json: bool, show: Callable[[dict[str, Any]], None]) -> int:
    status, document = ask(admin, path)
    _expect_ok(status, document)
    if as_json:
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    else:
        show(document)
    return OK


def _expect_ok(status: int, document: dict[str, Any]) -> None:
    if status != 200:
        raise CommandFailed(f"the bridge answered {status}: {document.get('detail', document)}")


def _print_routes(document: dict[str, Any]) -> None:
    headings = ("ROUTE", "TOPICS", "STATE", "ANSWERED", "OPEN")
    between = "\n" if on_terminal() else " "
    print_table(headings, [tuple(map(between.join, _route(route))) for route in document["routes"]])


def _route(route: dict[str, Any]) -> tuple[list[str], ...]:
    """The cells of a row, each as its lines."""
    group = [f"  for {route['group']}"] if route["group"] else []
    detail = [route["detail"]] if route["detail"] else []
    return (
        [f"{route['method']} {route['path']}", f"  {route['name']}"],
        [f"{ARROWS[route['kind']]} {topic}" for topic in route["topics"]] + group,
        [route["state"], *detail],
        [f"{status}: {count}" for status, count in sorted(route["requests"].items())],
        [str(route["in_flight"] + route["open_streams"])],
    )


def _print_groups(document: dict[str, Any]) -> None:
    headings = ("GROUP", "PARTITIONS", "LAG", "LEASED", "OLDEST", "WAITING", "REDELIVERED")
    print_table(headings, [_group(group) for group in document["groups"]])


def _group(group: dict[str, Any]) -> tuple[str, ...]:
    oldest_s = group["oldest_lease_s"]
    return (
        group["group"],
        _partitions(group["partitions"]) or "none yet",
        str(group["lag"]),
        str(group["leases_out"]),
        "" if oldest_s is None else f"{oldest_s:.1f} s",
        str(group["waiting"]),
        str(group["redeliveries"]),
    )


def _partitions(partitions: list[dict[str, Any]]) -> str:
    """`retail.sales 0,1,2`: a topic after the other, with its partitions."""
    of_topic: dict[str, list[int]] = {}
    for one in sorted(partitions, key=lambda one: (one["topic"], one["partition"])):
        of_topic.setdefault(one["topic"], []).append(one["partition"])
    between = "\n" if on_terminal() else "; "
    return between.join(f"{topic} {','.join(map(str, numbers))}" for topic, numbers in of_topic.items())
