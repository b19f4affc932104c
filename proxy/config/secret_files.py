"""Secrets that stand in files of their own: beside every secret `x` of the file's language there is `x_file`.

It names a file, relative to the configuration, whose text without the line's end is the secret; a list names several.
They are read at each load, so a reload brings in what an operator, or a mounted Kubernetes secret, has put there.
"""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr

from proxy.config.mistake import Fault, Path

ENDING = "_file"


class SecretFiles:
    """Reads them in. `faults` is what could not be read; `read` where each secret's file is named."""

    def __init__(self, directory: FilePath) -> None:
        self.faults: list[Fault] = []
        self.read: dict[Path, Path] = {}
        self._directory = directory

    def fill_in(self, data: Any, kind: Any, path: Path = ()) -> Any:
        """A copy of the data, which is to be of this kind, with secrets where their files were named."""
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return self._section(data, kind, path) if isinstance(data, dict) else data
        inner = get_args(kind)
        if get_origin(kind) in (dict, Mapping):
            return _each(data, lambda key, value: self.fill_in(value, inner[1], (*path, key)))
        if get_origin(kind) in (tuple, list):
            return _each(data, lambda index, value: self.fill_in(value, inner[0], (*path, index)))
        for each in inner:  # X | None, and what is annotated
            data = self.fill_in(data, each, path)
        return data

    def place_of(self, path: Path) -> Path:
        """Where a mistake in the data at `path` is in the file."""
        for secret, named in self.read.items():
            if path[: len(secret)] == secret:
                return named
        return path

    def _section(self, data: dict[str, Any], model: type[BaseModel], path: Path) -> dict[str, Any]:
        filled = dict(data)
        for field_name, field in model.model_fields.items():
            name = field.alias or field_name
            if holds_secret(field.annotation):
                self._secret(filled, name, path)
            elif name in filled:
                filled[name] = self.fill_in(filled[name], field.annotation, (*path, name))
        return filled

    def _secret(self, data: dict[str, Any], name: str, path: Path) -> None:
        """Put the secret `name` where its file is named."""
        key = name + ENDING
        if key not in data:
            return
        named = data.pop(key)
        if name in data:
            self.faults.append(Fault((*path, key), f"{name} is written too: keep one of the two", at_key=True))
        several = isinstance(named, list)
        texts = [self._text(each, (*path, key)) for each in (named if several else [named])]
        data[name] = texts if several else texts[0]
        self.read[(*path, name)] = (*path, key)

    def _text(self, named: Any, path: Path) -> Any:
        try:
            return (self._directory / str(named)).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as exc:
            self.faults.append(Fault(path, f"{named} cannot be read: {exc.strerror}"))
        except UnicodeDecodeError:
            self.faults.append(Fault(path, f"{named} is not UTF-8 text"))
        return ""


def holds_secret(kind: Any) -> bool:
    """True for a secret, an optional one, or a list of them."""
    return kind is SecretStr or any(holds_secret(each) for each in get_args(kind))


def _each(data: Any, change: Any) -> Any:
    if isinstance(data, dict):
        return {key: change(key, value) for key, value in data.items()}
    return [change(index, value) for index, value in enumerate(data)] if isinstance(data, list) else data
