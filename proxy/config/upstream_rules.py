"""What may stand together where a route has an `upstream`, and in `upstreams` itself."""

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from proxy.config.mistake import Fault, Path
from proxy.config.moment import read_moment
from proxy.config.outline import RouteOutline, mapping, routes, section
from proxy.config.upstreams import UpstreamTls
from proxy.config.words import suggestion

Data = Mapping[str, Any]

TLS_FILES = ("ca", "certificate", "key")


def with_whole_names(data: dict[str, Any], directory: FilePath) -> dict[str, Any]:
    """The data, in which the files of `upstreams.*.tls` are absolute: they are named relative to the file."""
    services = {}
    for name, said in mapping(data.get("upstreams")).items():
        tls = mapping(mapping(said).get("tls"))
        whole = {key: str((directory / tls[key]).resolve()) for key in TLS_FILES if isinstance(tls.get(key), str)}
        services[name] = {**said, "tls": {**tls, **whole}} if whole else said
    return {**data, "upstreams": services} if services else data


def upstreams_exist(data: Data) -> Iterator[Fault]:
    known = list(mapping(data.get("upstreams")))
    for route in routes(data):
        name = route.said.get("upstream")
        if isinstance(name, str) and name not in known:
            there = f", there are: {', '.join(known)}" if known else ": write it under `upstreams`"
            detail = f"{name} is not one of `upstreams`{suggestion(name, known) or there}"
            yield Fault((*route.path, "upstream"), detail)


def tls_is_for_https(data: Data) -> Iterator[Fault]:
    for name, said in mapping(data.get("upstreams")).items():
        urls, tls = mapping(said).get("url"), mapping(said).get("tls")
        urls = [urls] if isinstance(urls, str) else urls
        if tls is not None and isinstance(urls, list) and not any(str(url).startswith("https:") for url in urls):
            yield Fault(("upstreams", name, "tls"), "is for https, and no `url` here is: write https://", at_key=True)


def tls_files_can_be_used(data: Data) -> Iterator[Fault]:
    for name, said in mapping(data.get("upstreams")).items():
        tls = section(UpstreamTls, mapping(said).get("tls"))
        if tls is not None:
            yield from _tls_faults(("upstreams", name, "tls"), tls)


def _tls_faults(path: Path, tls: UpstreamTls) -> Iterator[Fault]:
    if (tls.certificate is None) != (tls.key is None):
        there, missing = ("key", "certificate") if tls.certificate is None else ("certificate", "key")
        yield Fault((*path, there), f"needs `{missing}` too")
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if tls.ca:
            context.load_verify_locations(tls.ca)
    except OSError as exc:
        yield Fault((*path, "ca"), f"{tls.ca} cannot be used: {exc.strerror or exc}")
    try:
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except (OSError, _NeedsPassword) as exc:
        detail = f"{tls.certificate} and {tls.key} cannot be used together: {getattr(exc, 'strerror', None) or exc}"
        yield Fault((*path, "certificate"), detail)


class _NeedsPassword(Exception):
    """Asked for on the terminal otherwise."""


def _no_password() -> str:
    raise _NeedsPassword("the key has a password; write it without one, readable by the bridge alone")


def passthrough_stands_alone(route: RouteOutline) -> Iterator[Fault]:
    """What has no meaning where requests only go through."""
    if route.said.get("upstream") is None or route.said.get("produce") is not None:
        return
    if route.said.get("cors") is not None:
        detail = "stands beside upstream: its own CORS answers go through. Leave it out"
        yield Fault((*route.path, "cors"), detail, at_key=True)
    if mapping(route.said.get("limits")).get("in_flight_bytes") is not None:
        detail = "stands beside upstream: bodies are streamed, not held. Leave it out"
        yield Fault((*route.path, "limits", "in_flight_bytes"), detail, at_key=True)


def deprecations_say_something(route: RouteOutline) -> Iterator[Fault]:
    said = route.said.get("deprecation")
    if not isinstance(said, Mapping):
        return
    if not any(said.get(key) for key in ("since", "sunset", "link")):
        yield Fault((*route.path, "deprecation"), "says nothing: write since, sunset or link")
    since, sunset = (read_moment(str(said.get(key))) for key in ("since", "sunset"))
    if since is not None and sunset is not None and sunset < since:
        yield Fault((*route.path, "deprecation", "sunset"), "is before `since` (RFC 9745, 4): write a later time")


UPSTREAM_FILE_RULES = (upstreams_exist, tls_is_for_https, tls_files_can_be_used)
UPSTREAM_ROUTE_RULES = (passthrough_stands_alone, deprecations_say_something)
