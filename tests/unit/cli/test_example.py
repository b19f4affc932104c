"""Values made from JSON Schemas."""

from typing import Any

import pytest
from jsonschema_rs import validator_for

from proxy.cli.example import example

SCHEMAS: list[Any] = [
    True,
    {},
    {"type": "string", "minLength": 10},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "uuid"},
    {"type": ["null", "integer"], "minimum": 5},
    {"type": "null"},
    {"type": "boolean"},
    {"type": "integer", "exclusiveMinimum": 5},
    {"type": "integer", "minimum": 7, "multipleOf": 5},
    {"type": "number", "maximum": 0.5},
    {"type": "number", "exclusiveMaximum": 1},
    {"type": "integer", "minimum": -9, "maximum": -3},
    {"enum": ["a", "b"]},
    {"const": {"a": 1}},
    {"type": "string", "pattern": "^A", "examples": ["A1"]},
    {"type": "string", "pattern": "^A", "default": "A2"},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3},
    {"items": {"const": 1}},
    {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}},
    {"required": ["unheard-of"]},
    {"properties": {"a": {"$ref": "#/$defs/one~1two"}}, "$defs": {"one/two": {"type": "integer"}}},
    {"allOf": [{"required": ["a"]}, {"properties": {"a": {"type": "integer"}}}], "required": ["b"]},
    {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    {"anyOf": [{"type": "boolean"}, {"type": "string"}]},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_an_example_fits_its_schema(schema: Any) -> None:
    assert validator_for(schema).is_valid(example(schema, schema)), example(schema, schema)


def test_a_schema_that_contains_itself_comes_to_an_end() -> None:
    schema = {"type": "object", "properties": {"child": {"$ref": "#"}}}
    node, depth = example(schema, schema), 0
    while isinstance(node, dict):
        node, depth = node["child"], depth + 1
    assert 2 <= depth <= 10


@pytest.mark.parametrize("reference", ["#/$defs/nothing", "https://example.com/other.json", "#/type/x"])
def test_a_reference_to_nothing_is_a_word(reference: str) -> None:
    assert example({"$ref": reference}, {"type": "object"}) == "sample"
