"""What may stand together of callers and rights. Whoever writes `auth` lets nobody in by oversight."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from proxy.config.callers import AdminAuth, Auth, CallersFile, RouteAuth
from proxy.config.mistake import Fault, Path
from proxy.config.outline import RouteOutline, mapping, routes
from proxy.config.placeholder import BadTemplate, Placeholder, parse_template

Data = Mapping[str, Any]

OWN_SCHEMES = ("key", "basic", "certificate")
_RIGHTS = ("schemes", "principals", "scopes", "claims")


def routes_say_who_may(data: Data) -> Iterator[Fault]:
    """With callers told apart, a route nobody thought of would be open, or dead: neither is meant."""
    has_callers = isinstance(data.get("auth"), Mapping)
    for route in routes(data):
        said = route.said.get("auth")
        if has_callers and said is None:
            detail = "does not say who may call it: write `auth: none` (anyone), `any` (every known caller), or rights"
            yield Fault((*route.path, "auth"), detail)
        if not has_callers and said not in (None, "none"):
            detail = "asks for callers, and the file has no `auth` section that says who they are: write one"
            yield Fault((*route.path, "auth"), detail, at_key=True)


def somebody_is_known(data: Data) -> Iterator[Fault]:
    for at, section, kinds in (
        (("auth",), data.get("auth"), ("keys", "basic", "file", "jwt", "certificates")),
        (("admin", "auth"), mapping(data.get("admin")).get("auth"), ("keys", "basic")),
    ):
        if not isinstance(section, Mapping) or set(section) - {*Auth.model_fields, *AdminAuth.model_fields}:
            continue
        if all(section.get(kind) in (None, [], "") for kind in kinds):
            yield Fault(at, f"knows nobody: write at least one of {', '.join(kinds)}, or `none`")


def callers_are_told_apart(data: Data) -> Iterator[Fault]:
    auth, admin = mapping(data.get("auth")), mapping(mapping(data.get("admin")).get("auth"))
    yield from _callers(auth, ("auth",))
    yield from _callers(admin, ("admin", "auth"))
    file = auth.get("file")
    if isinstance(file, CallersFile):
        for kind, more in (("keys", file.keys), ("basic", file.basic)):
            inline = {name for _, name, _ in _entries(auth, ("auth",), kind)}
            double = sorted(inline & {caller.name for caller in more})
            yield from (Fault(("auth", "file"), f"{name} is in {kind} here and in {file.file}") for name in double)
            slow = [c.name for c in more if kind == "keys" and any(_is_slow(h.get_secret_value()) for h in c.hash)]
            yield from (Fault(("auth", "file"), f"{name} in {file.file}: {_NO_SCRYPT}") for name in slow)


_NO_SCRYPT = "is a password's hash; keys are found by theirs, so they have sha256: (`stepbridge key` makes one)"


def _callers(section: Data, at: Path) -> Iterator[Fault]:
    for kind in ("keys", "basic"):
        seen: set[str] = set()
        for path, name, entry in _entries(section, at, kind):
            if name in seen:
                yield Fault((*path, "name"), f"{name} is written twice: give one entry two hashes instead")
            seen.add(name)
            hashes = entry.get("hash")
            if kind == "keys" and any(map(_is_slow, hashes if isinstance(hashes, list) else [hashes])):
                yield Fault((*path, "hash"), _NO_SCRYPT)


def _entries(section: Data, at: Path, kind: str) -> Iterator[tuple[Path, str, Data]]:
    entries = section.get(kind)
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
            yield (*at, kind, index), entry["name"], entry


def _is_slow(said: object) -> bool:
    return isinstance(said, str) and said.startswith("scrypt:")


def issuers_are_told_apart(data: Data) -> Iterator[Fault]:
    names: set[str] = set(OWN_SCHEMES)
    urls: set[str] = set()
    for path, issuer in _issuers(data):
        name, url = issuer.get("name", "jwt"), issuer.get("issuer")
        if name in names:
            yield Fault((*path, "name" if "name" in issuer else "issuer"), f"its name, {name}, is taken: write another")
        if url in urls:
            yield Fault((*path, "issuer"), f"{url} is listed twice: list its audiences in one")
        names |= {name} if isinstance(name, str) else set()
        urls |= {url} if isinstance(url, str) else set()


def issuers_are_reached_safely(data: Data) -> Iterator[Fault]:
    """Whoever sits on the way to an issuer could hand out keys of their own."""
    for path, issuer in _issuers(data):
        for key in ("issuer", "jwks_url"):
            url = issuer.get(key)
            if isinstance(url, str) and url.startswith("http://") and not is_loopback(urlsplit(url).hostname or ""):
                yield Fault((*path, key), f"{url} is not encrypted: write https, plain http is for this machine only")


def _issuers(data: Data) -> Iterator[tuple[Path, Data]]:
    entries = mapping(data.get("auth")).get("jwt")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, Mapping):
            yield ("auth", "jwt", index), entry


def certificates_can_be_shown(data: Data) -> Iterator[Fault]:
    if not mapping(data.get("auth")).get("certificates") and "certificates" not in mapping(data.get("auth")):
        return
    tls = mapping(mapping(data.get("server")).get("tls"))
    if tls.get("client_auth", "none") == "none":
        detail = "needs `server.tls` with `client_ca` and `client_auth`: without them no client shows a certificate"
        yield Fault(("auth", "certificates"), detail, at_key=True)


def rights_can_be_judged(data: Data) -> Iterator[Fault]:
    known = _schemes(data)
    for route in routes(data):
        said = route.said.get("auth")
        if not isinstance(said, Mapping):
            continue
        at = (*route.path, "auth")
        others = said.get("or")
        yield from _rights(route, said, at, known)
        for index, other in enumerate(others if isinstance(others, list) else ()):
            if isinstance(other, Mapping):
                yield from _rights(route, other, (*at, "or", index), known)


def _schemes(data: Data) -> tuple[str, ...]:
    return (*OWN_SCHEMES, *(str(issuer.get("name", "jwt")) for _, issuer in _issuers(data)))


def _rights(route: RouteOutline, said: Data, at: Path, known: tuple[str, ...]) -> Iterator[Fault]:
    if set(said) <= {*RouteAuth.model_fields, "or"} and not any(said.get(key) for key in _RIGHTS):
        yield Fault(at, "asks for nothing: write `auth: any` if every known caller may")
    for path, scheme in _listed(said, at, "schemes"):
        if scheme not in known:
            yield Fault(path, f"{scheme} is no scheme of this file: there are {', '.join(known)}")
    for path, text in _listed(said, at, "principals"):
        scheme, colon, name = text.partition(":")
        if not colon or not name or scheme not in known:
            yield Fault(path, f"{text!r} is no id: write scheme:name, such as key:store-7. Schemes: {', '.join(known)}")
    claims = said.get("claims")
    named = [((*at, "claims", name), text) for name, text in (claims if isinstance(claims, Mapping) else {}).items()]
    for path, text in (*_listed(said, at, "principals"), *_listed(said, at, "scopes"), *named):
        if isinstance(text, str):
            yield from (Fault(path, detail) for detail in _not_known(text, route))


def _listed(said: Data, at: Path, key: str) -> Iterator[tuple[Path, str]]:
    entries = said.get(key)
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, str):
            yield (*at, key, index), entry


def _not_known(text: str, route: RouteOutline) -> Iterator[str]:
    """A right is made of what the request says, and judged before anything is done."""
    try:
        pieces = [piece for piece in parse_template(text) if isinstance(piece, Placeholder)]
    except BadTemplate as exc:
        yield str(exc)
        return
    for piece in pieces:
        if piece.source == "body" and not route.produce:
            yield f"{piece} is read by produce routes only: take {{path.…}}, {{query.…}} or {{header.…}}"
        elif piece.source not in ("path", "query", "header", "body"):
            yield f"{piece} is nothing a request asks for: there are {{path.…}}, {{query.…}}, {{header.…}}, {{body.…}}"
        elif piece.source == "path" and route.pattern and piece.way[0] not in route.pattern.names:
            yield f"{piece} is not in the route {route.pattern}"


def is_guarded(route: RouteOutline) -> bool:
    """Whether its callers are known, so that {claims.…} and {principal} can be."""
    return route.said.get("auth") not in (None, "none")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


AUTH_RULES = (
    routes_say_who_may,
    somebody_is_known,
    callers_are_told_apart,
    issuers_are_told_apart,
    issuers_are_reached_safely,
    certificates_can_be_shown,
    rights_can_be_judged,
)
