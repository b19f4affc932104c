"""`docs/config.md`: every key of the file in tables, made from the models.

    python -m proxy.config.reference_page > docs/config.md

It is read off the editors' schema (`schema.py`), so what a key may be is said in one place; a test compares the two.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from proxy.config.schema import editor_schema

Json = Mapping[str, Any]

_HEAD = """# Configuration

Every key of the file, made from what the loader reads by `python -m proxy.config.reference_page`. The same keys with
examples, as a file that loads: [config/reference.yaml](../config/reference.yaml). Editors that know JSON Schema
complete the file with `config/stepbridge.schema.json`.

`[]` stands for each entry of a list, `NAME` for a name of your own. A bold key is required. `${NAME}` in a value is
read from the environment, `${NAME:-default}` has a default.
"""
_WORDS = {"integer": "number", "number": "number", "boolean": "true, false", "string": "text", "null": "null"}


def page() -> str:
    """The page's text."""
    schema = editor_schema()
    sections = _sections("", schema, schema["$defs"])
    return "\n".join([_HEAD, *(_table(path, section, schema["$defs"]) for path, section in sections)])


def _sections(path: str, section: Json, models: Json) -> Iterator[tuple[str, Json]]:
    """A section, and all that are in it, each with its path."""
    yield path, section
    for key, value in section["properties"].items():
        for below, inner in _inside(value, models):
            yield from _sections(f"{path}.{key}{below}".lstrip("."), inner, models)


def _inside(value: Json, models: Json) -> Iterator[tuple[str, Json]]:
    """The sections a key may hold: of its own, as entries of a list (`[]`), or under names (`.NAME`)."""
    for each in _choices(value):
        if "$ref" in each and "properties" in _model(each, models):
            yield "", _model(each, models)
        elif each.get("type") == "array":
            yield from ((f"[]{below}", inner) for below, inner in _inside(each.get("items", {}), models))
        elif isinstance(each.get("additionalProperties"), dict):
            yield from ((f".NAME{below}", inner) for below, inner in _inside(each["additionalProperties"], models))


def _table(path: str, section: Json, models: Json) -> str:
    required = section.get("required", ())
    rows = [_row(key, value, key in required, models) for key, value in section["properties"].items()]
    head = f"## `{path}`" if path else "## The file"
    return "\n".join([head, "", "| key | what it may be | default | |", "|---|---|---|---|", *rows, ""])


def _row(key: str, value: Json, required: bool, models: Json) -> str:
    default = value.get("default")
    shown = "" if default in (None, "", [], {}) or isinstance(default, dict) else f"`{_text(default)}`"
    what = " or ".join(dict.fromkeys(_kind(each, models) for each in _choices(value)))
    name = f"**`{key}`**" if required else f"`{key}`"
    cells = (name, what, shown, str(value.get("description", "")))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind(value: Json, models: Json) -> str:
    if "$ref" in value:
        model = _model(value, models)
        return "section" if "properties" in model else _kind(model, models)
    if "const" in value or "enum" in value:
        return ", ".join(f"`{_text(word)}`" for word in value.get("enum", [value.get("const")]))
    kind = value.get("type")
    if kind == "array":
        items = [_kind(each, models) for each in _choices(value.get("items", {}))]
        return f"list of {' or '.join(dict.fromkeys(items))}" if items else "list"
    if kind == "object":
        return "mapping"
    return f"{_WORDS.get(str(kind), 'anything')}{_range(value)}"


def _range(value: Json) -> str:
    above = value.get("exclusiveMinimum")
    least = value.get("minimum") if above is None else above + 1
    most = value.get("maximum")
    if least is None:
        return ""
    return f" from {least}" if most is None else f", {least} to {most}"


def _choices(value: Json) -> list[Json]:
    """What a value may be; but for null, which is leaving it out, and a variable, which everything may be."""
    choices = [inner for each in value["anyOf"] for inner in _choices(each)] if "anyOf" in value else [value]
    return [each for each in choices if each.get("type") != "null" and each.get("pattern") != r"\$\{"]


def _model(value: Json, models: Json) -> Json:
    model: Json = models[str(value["$ref"]).rpartition("/")[2]]
    return model


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


if __name__ == "__main__":
    sys.stdout.write(page())
