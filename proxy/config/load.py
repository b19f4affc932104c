"""From a file and the environment to a Config, or to every mistake in it at once.

The steps: read the text as YAML, fill in variables, read the schema files, validate the values, and ask the
rules on what may stand together. Each adds its faults; a value that one step could not make out is not
judged by the next. Besides
this file only `tls_files.py` and `secret_files.py` read anything.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any

import orjson
from pydantic import ValidationError

from proxy.config.bodyschema import BadSchema, compile_schema
from proxy.config.callers import CallersFile
from proxy.config.callers_file import read_callers
from proxy.config.document import Document, NotYaml, read_document
from proxy.config.environment import fill_in
from proxy.config.file_rules import FILE_RULES
from proxy.config.mistake import ConfigMistakes, Fault, Mistake, Path, dotted
from proxy.config.model import Config, SchemaFile
from proxy.config.outline import routes
from proxy.config.route_rules import ROUTE_RULES
from proxy.config.secret_files import SecretFiles
from proxy.config.tls_files import make_names_whole, try_files
from proxy.config.upstream_rules import with_whole_names
from proxy.config.words import explain

Flags = Mapping[str, Mapping[str, object]]

__all__ = ["ConfigMistakes", "load"]


def load(path: FilePath, environ: Mapping[str, str] = os.environ, flags: Flags = MappingProxyType({})) -> Config:
    """The configuration in the file at `path`, its schema files beside it read in. Raises ConfigMistakes.

    `flags`: values by section and key that stand for the file's, before anything is judged.
    """
    document = _read(path)
    unreadable = list(document.faults)
    elsewhere: list[Mistake] = []
    data = fill_in(document.data, environ, unreadable)
    if isinstance(data, dict):
        data = _flagged(data, flags)
        _read_schemas(data, path.parent, unreadable)
        data = make_names_whole(data, path.parent)
        _read_callers(data, path.parent, environ, elsewhere)
        data = with_whole_names(data, path.parent)
    secrets = SecretFiles(path.parent)
    data = secrets.fill_in(data, Config)
    unreadable += secrets.faults
    config, faults = _validate(data)
    if isinstance(data, dict):
        faults += _break_rules(data)
    faults = [dataclasses.replace(fault, path=secrets.place_of(fault.path)) for fault in faults]
    faults = unreadable + [fault for fault in faults if not _within(fault.path, unreadable)]
    if config is None or faults or elsewhere:
        raise ConfigMistakes([*_mistakes(faults, document, str(path)), *elsewhere])
    return config


def _read(path: FilePath) -> Document:
    try:
        return read_document(path.read_text(encoding="utf-8"), str(path))
    except NotYaml as exc:
        raise ConfigMistakes([exc.mistake]) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigMistakes([Mistake(str(path), 1, 1, "file", f"cannot be read: {_reason(exc)}")]) from exc


def _flagged(data: dict[str, Any], flags: Flags) -> dict[str, Any]:
    """The data with the flags in it. A section that is no mapping stays as it is: it has its own fault."""
    said = {name: data.get(name, {}) for name in flags}
    return data | {name: {**said[name], **flags[name]} for name in flags if isinstance(said[name], Mapping)}


def _read_schemas(data: dict[str, Any], directory: FilePath, faults: list[Fault]) -> None:
    """Replace the name of each schema file in `data` by what is in it."""
    for route in routes(data):
        name = route.produce.get("schema")
        if not isinstance(name, str):
            continue
        try:
            document = orjson.loads((directory / name).read_bytes())
            compile_schema(document)
            data["routes"][route.path[1]]["produce"]["schema"] = SchemaFile(file=name, document=document)
        except (OSError, ValueError) as exc:
            faults.append(Fault((*route.path, "produce", "schema"), f"{name} cannot be used: {_reason(exc)}"))


def _read_callers(
    data: dict[str, Any], directory: FilePath, environ: Mapping[str, str], elsewhere: list[Mistake]
) -> None:
    """Replace the name of the file of callers by what is in it; its own mistakes are `elsewhere`."""
    auth = data.get("auth")
    name = auth.get("file") if isinstance(auth, dict) else None
    if isinstance(name, str):
        try:
            data["auth"]["file"] = read_callers(directory / name, name, environ)
        except ConfigMistakes as exc:
            data["auth"]["file"] = CallersFile(file=name)  # nobody, as far as the rules go
            elsewhere += exc.mistakes


def _validate(data: Any) -> tuple[Config | None, list[Fault]]:
    try:
        return Config.model_validate(data), []
    except ValidationError as exc:
        return None, list(explain(exc, Config))


def _break_rules(data: dict[str, Any]) -> Iterator[Fault]:
    for file_rule in FILE_RULES:
        yield from file_rule(data)
    yield from try_files(data)
    for route in routes(data):
        for route_rule in ROUTE_RULES:
            yield from route_rule(route)


def _within(path: Path, faults: Iterable[Fault]) -> bool:
    return any(fault.path == path[: len(fault.path)] for fault in faults)


def _mistakes(faults: Iterable[Fault], document: Document, file: str) -> Iterator[Mistake]:
    for fault in faults:
        line, column = document.place(fault)
        yield Mistake(file, line, column, dotted(fault.path), fault.detail)


def _reason(exc: Exception) -> str:
    if isinstance(exc, orjson.JSONDecodeError):
        return f"it is not JSON: {exc.msg} (line {exc.lineno}, column {exc.colno})"
    if isinstance(exc, BadSchema):
        return f"it is no JSON Schema: {exc}"
    if isinstance(exc, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (exc.strerror or str(exc)) if isinstance(exc, OSError) else str(exc)
