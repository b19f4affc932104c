"""Commands that talk to a running bridge, through its admin side."""

import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
import typer

from proxy.cli.exits import MISTAKES, OK, CommandFailed
from proxy.cli.tables import ARROWS, on_terminal, print_table
from proxy.cli.token import authorization
from proxy.tls import client_context

TIMEOUT_S = 10.0
CA, CERTIFICATE, KEY = (f"STEPBRIDGE_ADMIN_{what}" for what in ("CA", "CERTIFICATE", "KEY"))  # environment: PEM files


def show_routes(admin: str, *, as_json: bool) -> int:
    return show(admin, "routes", as_json, _print_routes)


def reload_bridge(admin: str) -> int:
    """Print what changed, or the mistakes that kept it from changing."""
    status, document = ask(admin, "reload", "POST")
    if status == 422 and "mistakes" in document:
        typer.echo("\n".join(document["mistakes"]))
        return MISTAKES
    changed = member(admin, "changed", status, document)
    typer.echo("\n".join(changed) or "nothing changed")
    return OK


def show_log_level(admin: str, level: str | None) -> int:
    """Print from which level on the bridge logs, after it was changed to `level` if there is one."""
    what, method = ("log-level", "GET") if level is None else (f"log-level?{urlencode({'level': level})}", "POST")
    status, document = ask(admin, what, method)
    typer.echo(member(admin, "level", status, document, str))
    return OK


def show(admin: str, what: str, as_json: bool, show: Callable[[list[Any]], None]) -> int:
    status, document = ask(admin, what, "GET")
    states = member(admin, what, status, document)
    if as_json:
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    else:
        show(states)
    return OK


# ---- asking


def ask(admin: str, what: str, method: str, *, timeout_s: float = TIMEOUT_S) -> tuple[int, dict[str, Any]]:
    """Status and document of one request to the admin side. Raises CommandFailed if there is none."""
    url = (admin if "://" in admin else f"http://{admin}").rstrip("/") + f"/admin/{what}"
    try:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # an operator's proxy does not know the way
            urllib.request.HTTPSHandler(context=_tls(os.environ)),
        )
        with opener.open(
            urllib.request.Request(url, method=method, headers=authorization()), timeout=timeout_s
        ) as answer:
            return answer.status, _document(admin, answer.read())
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, _document(admin, exc.read())
    except (OSError, http.client.HTTPException, ValueError) as exc:
        reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
        raise CommandFailed(f"no bridge answers at {url} ({reason}). {_advice(reason)}") from exc


def _tls(environ: Mapping[str, str]) -> ssl.SSLContext:
    """What an admin side with TLS is believed by, and shown. Raises OSError."""
    return client_context(ca=environ.get(CA), certificate=environ.get(CERTIFICATE), key=environ.get(KEY))


def _advice(reason: object) -> str:
    if isinstance(reason, ssl.SSLError):
        return f"Who signed its certificate says {CA} (a PEM file), who you are {CERTIFICATE} and {KEY}."
    return "Does it run, and is this its admin side (--admin URL)?"


def _document(admin: str, body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise _stranger(admin)
    return document


def member(admin: str, name: str, status: int, document: dict[str, Any], kind: type = list) -> Any:
    """What a 200 brings under that name: a list. Raises CommandFailed with what another answer says."""
    if status != 200 and "detail" in document:
        raise CommandFailed(f"the bridge answered {status}: {document['detail']}")
    if not isinstance(document.get(name), kind):
        raise _stranger(admin)
    return document[name]


def _stranger(admin: str) -> CommandFailed:
    return CommandFailed(f"what answers at {admin} is no bridge's admin side (by default on port 9090): --admin URL")


# ---- tables


def _print_routes(routes: list[dict[str, Any]]) -> None:
    if on_terminal():
        print_table(("ROUTE", "STATE", "ANSWERED", "OPEN"), [_stacked(route) for route in routes])
    else:
        headings = ("NAME", "METHOD", "PATH", "TOPICS", "GROUP", "STATE", "DETAIL", "ANSWERED", "OPEN")
        print_table(headings, [_flat(route) for route in routes])


def _stacked(route: dict[str, Any]) -> tuple[str, ...]:
    topics = [f"  {ARROWS[route['kind']]} {topic}" for topic in route["topics"]]
    group = [f"  for {route['group']}"] if route["group"] else []
    return (
        "\n".join([f"{route['method']} {route['path']}", f"  {route['name']}", *topics, *group]),
        "\n".join(filter(None, (route["state"], route["detail"]))),
        "\n".join(_answered(route)),
        _open(route),
    )


def _flat(route: dict[str, Any]) -> tuple[str, ...]:
    named = (route["name"], route["method"], route["path"], ",".join(route["topics"]), route["group"] or "")
    return (*named, route["state"], route["detail"], " ".join(_answered(route)), _open(route))


def _answered(route: dict[str, Any]) -> list[str]:
    """How often each status was answered."""
    return [f"{status}:{count}" for status, count in sorted(route["requests"].items())]


def _open(route: dict[str, Any]) -> str:
    return str(route["in_flight"] + route["open_streams"])
