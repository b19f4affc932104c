"""The file's own JSON Schema, for editors: `python -m proxy.config.schema > config/stepbridge.schema.json`.

A file names it in its first line: `# yaml-language-server: $schema=stepbridge.schema.json`. It knows each value by
itself; what may stand together, only `stepbridge check` knows.
"""

import sys
from typing import Any

import orjson
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from proxy.config.model import Config
from proxy.config.secret_files import ENDING

_VARIABLE = {"type": "string", "pattern": r"\$\{"}


class _EditorSchema(GenerateJsonSchema):
    """Where no text is asked for, a `${NAME}` may stand all the same."""

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return {"anyOf": [super().int_schema(schema), _VARIABLE]}

    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        return {"anyOf": [super().bool_schema(schema), _VARIABLE]}

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        return {"anyOf": [super().literal_schema(schema), _VARIABLE]}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def editor_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of the configuration file."""
    schema = Config.model_json_schema(by_alias=True, schema_generator=_EditorSchema)
    for section in (schema, *schema["$defs"].values()):
        _name_secret_files(section)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Stepbridge configuration"}
    return {**head, **{key: value for key, value in schema.items() if key not in head}}


def _name_secret_files(section: dict[str, Any]) -> None:
    """Beside each secret `x` of the section put `x_file` (`secret_files.py`), either of which will do."""
    properties = section.get("properties", {})
    for name in [name for name, said in properties.items() if b'"writeOnly":true' in orjson.dumps(said)]:
        text = {"type": "string"}
        several = {"type": "array", "items": text}
        kind = {"anyOf": [text, several]} if b'"array"' in orjson.dumps(properties[name]) else text
        properties[name + ENDING] = {**kind, "description": f"File that holds {name}, relative to this one."}
        if name in section.get("required", ()):
            section["required"].remove(name)


def editor_schema_text() -> bytes:
    """The same as the file has it."""
    return orjson.dumps(editor_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    sys.stdout.buffer.write(editor_schema_text())
