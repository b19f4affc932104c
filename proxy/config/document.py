"""The file's text as plain data that remembers where each value stands.

YAML 1.1 turns `on`, `NO`, `12:30` and `010` into truths and numbers nobody meant, and lets a key be written
twice. Here such a scalar is a fault instead: quotes settle it. Tags, merge keys and time stamps are faults too.
Anchors and aliases work, within a bound.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from proxy.config.mistake import Fault, Mistake, Path, is_secret

MAX_VALUES = 200_000  # of a file with its aliases written out

_TAG = "tag:yaml.org,2002:"
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_TRUTHS = {"true": True, "false": False}
_QUOTE = 'put it in quotes if it is text: "{text}"'
_TRAPS = {
    "bool": "{text} is a truth value to some YAML readers and text to others: write true or false, or " + _QUOTE,
    "int": "{text} is not the number it looks like to every YAML reader: write plain digits, or " + _QUOTE,
    "float": "{text} is not the number it looks like to every YAML reader: write plain digits, or " + _QUOTE,
    "timestamp": "{text} is a date to some YAML readers and text to others: " + _QUOTE,
    "merge": "{text} (a merge key) is not supported: write the keys out",
    "value": "{text} alone is not text to every YAML reader: " + _QUOTE,
}


class NotYaml(ValueError):
    """The text cannot be read as YAML at all; `mistake` says where."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(str(mistake))
        self.mistake = mistake


@dataclass(slots=True)
class Document:
    """Plain data, the place (line, column; from 1) of each value and each key by path, and the traps found."""

    data: Any = None
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def place(self, fault: Fault) -> tuple[int, int]:
        """Line and column of what a fault is about: its value or key, else of the nearest thing around it."""
        if fault.place:
            return fault.place
        if fault.at_key and fault.path in self.keys:
            return self.keys[fault.path]
        path = fault.path
        while path and path not in self.values:
            path = path[:-1]
        is_name_missing = path != fault.path and isinstance(fault.path[len(path)], str)
        return (self.keys if is_name_missing and path in self.keys else self.values).get(path, (1, 1))


def read_document(text: str, file: str) -> Document:
    """Read the text of `file`. Raises NotYaml where it is no YAML; every other trap is among the faults."""
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        document = Document()
        document.data = {} if root is None else _Reader(document).read(root, ())
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = ", ".join(part for part in (exc.context, exc.problem) if part)
        if _is_tab(text, line, column):
            said = "there is a tab, and YAML is indented with spaces only: write spaces"
        raise NotYaml(Mistake(file, line, column, "file", f"is not YAML: {said}")) from exc
    except yaml.reader.ReaderError as exc:
        line, column = _line_and_column(text, exc.position)
        raise NotYaml(Mistake(file, line, column, "file", f"is not YAML: {exc.reason}")) from exc
    except (RecursionError, _TooMuch) as exc:
        raise NotYaml(Mistake(file, 1, 1, "file", "is nested too deeply, or its aliases repeat too much")) from exc
    return document


class _TooMuch(Exception):
    """More values than MAX_VALUES: aliases of aliases."""


class _Reader:
    """Turns composed nodes into data, noting places and faults in the document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _TooMuch
        self._document.values[path] = _place(node)
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(kind, node.value, path)
        return self._fault(path, f"the tag {node.tag} is not supported: leave it out")

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            name = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            at = (*path, name)
            if name in data:
                detail = f"is written twice, first on line {self._document.keys[at][0]}"
                self._document.faults.append(Fault(at, detail, place=_place(key_node)))
                continue
            self._document.keys[at] = _place(key_node)
            self._key(key_node, at)
            data[name] = self.read(value_node, at)
        return data

    def _key(self, node: yaml.Node, path: Path) -> None:
        kind = node.tag.removeprefix(_TAG)
        if kind in ("int", "float", "null") or not isinstance(node, yaml.ScalarNode):
            self._fault(path, "a key must be text: put it in quotes", at_key=True)
        elif kind != "str":
            self._fault(path, _trap(kind, node.value), at_key=True)

    def _scalar(self, kind: str, text: str, path: Path) -> Any:
        if kind == "str":
            return text
        if kind == "null":
            return None
        if kind == "bool" and path == ("auth",):
            return self._fault(path, f"is {text}, a truth value: where nobody is to be told apart, write `auth: none`")
        if kind == "bool" and text.lower() in _TRUTHS:
            return _TRUTHS[text.lower()]
        if kind == "int" and _WHOLE.fullmatch(text):
            return int(text)
        if kind == "float" and _DECIMAL.fullmatch(text):
            return float(text)
        return self._fault(path, _trap(kind, "this" if is_secret(path) else text))

    def _fault(self, path: Path, detail: str, *, at_key: bool = False) -> None:
        self._document.faults.append(Fault(path, detail, at_key=at_key))


def _trap(kind: str, text: str) -> str:
    return _TRAPS.get(kind, "the tag !{kind} is not supported: leave it out").format(kind=kind, text=text)


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _is_tab(text: str, line: int, column: int) -> bool:
    there = "".join(text.splitlines()[line - 1 : line])
    return there[column - 1 : column] == "\t"


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
