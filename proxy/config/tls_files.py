"""The files that TLS sections name: made whole, so that every process finds them, and tried beforehand."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from proxy.config.kafka_security import KafkaSecurity, faults_of
from proxy.config.mistake import Fault, Path
from proxy.config.outline import mapping, section
from proxy.config.tls import ListenerTls, PeerTls
from proxy.tls import client_context, reason, server_context

NAMED: Mapping[Path, tuple[str, ...]] = {  # a section, and which of its keys name files
    ("server", "tls"): ("certificate", "key", "client_ca"),
    ("admin", "tls"): ("certificate", "key", "client_ca"),
    ("peer", "tls"): ("certificate", "key", "ca"),
    ("kafka", "security"): ("ca", "certificate", "key"),
    ("kafka", "security", "oauth"): ("token_file", "ca"),
}


def make_names_whole(data: Any, directory: FilePath) -> Any:
    """A copy of the data in which these files' names are beside `directory` no longer, but absolute."""
    for path, keys in NAMED.items():
        said = _at(data, path)
        whole = {key: str((directory / said[key]).resolve()) for key in keys if isinstance(said.get(key), str)}
        if whole:
            data = _with(data, path, {**said, **whole})
    return data


def try_files(data: Any) -> Iterator[Fault]:
    """What keeps the files from being used. A section with another mistake is left out."""
    for path, keys in NAMED.items():
        said = _at(data, path)
        missing = list(_missing(path, said, keys))
        yield from missing
        if said and not missing:
            yield from _TRIED[path](path, said)


def _missing(path: Path, said: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[Fault]:
    for key in keys:
        if isinstance(said.get(key), str):
            try:
                FilePath(said[key]).read_bytes()
            except OSError as exc:
                yield Fault((*path, key), f"{said[key]} cannot be read: {exc.strerror}")


def _try_listener(path: Path, said: Mapping[str, Any]) -> Iterator[Fault]:
    tls = section(ListenerTls, said)
    if tls is None:
        return
    if tls.client_auth != "none" and tls.client_ca is None:
        yield Fault((*path, "client_auth"), f"{tls.client_auth} needs `client_ca`: whose certificates are taken?")
        return
    if tls.client_auth == "none" and tls.client_ca is not None:
        yield Fault((*path, "client_ca"), "is used by nobody: write `client_auth: optional` or `required` too")
        return
    try:
        server_context(tls.certificate, tls.key, client_ca=tls.client_ca, client_auth=tls.client_auth)
    except OSError as exc:
        yield Fault((*path, "certificate"), f"cannot be used with its key (or client_ca): {reason(exc)}")


def _try_peer(path: Path, said: Mapping[str, Any]) -> Iterator[Fault]:
    tls = section(PeerTls, said)
    if tls is not None:
        try:
            server_context(tls.certificate, tls.key, client_ca=tls.ca, client_auth="required")
        except OSError as exc:
            yield Fault((*path, "certificate"), f"cannot be used with its key and `ca`: {reason(exc)}")


def _try_kafka(path: Path, said: Mapping[str, Any]) -> Iterator[Fault]:
    security = section(KafkaSecurity, said)
    if security is None:
        return
    faults = list(faults_of(security))
    yield from (Fault((*path, key), detail) for key, detail in faults)
    if faults or not security.has_tls:
        return
    password = security.key_password.get_secret_value() if security.key_password else None
    try:
        client_context(ca=security.ca, certificate=security.certificate, key=security.key, key_password=password)
    except OSError as exc:
        yield Fault((*path, "certificate" if security.certificate else "ca"), f"cannot be used: {reason(exc)}")


def _try_token(path: Path, said: Mapping[str, Any]) -> Iterator[Fault]:
    ca = said.get("ca")
    try:
        client_context(ca=ca if isinstance(ca, str) else None)
    except OSError as exc:
        yield Fault((*path, "ca"), f"cannot be used: {reason(exc)}")


_TRIED: Mapping[Path, Callable[[Path, Mapping[str, Any]], Iterator[Fault]]] = {
    ("server", "tls"): _try_listener,
    ("admin", "tls"): _try_listener,
    ("peer", "tls"): _try_peer,
    ("kafka", "security"): _try_kafka,
    ("kafka", "security", "oauth"): _try_token,
}


def _at(data: Any, path: Path) -> Mapping[str, Any]:
    for step in path:
        data = mapping(data).get(step)  # type: ignore[arg-type]
    return mapping(data)


def _with(data: Any, path: Path, value: Any) -> Any:
    return {**data, path[0]: _with(data[path[0]], path[1:], value)} if path else value
