"""A value that a JSON Schema describes, for people to look at. `pattern`, `not` and `if` are not tried."""

from typing import Any

MAX_DEPTH = 8  # schemas may refer to themselves

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "sample@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
}


def example(schema: Any, root: Any, depth: int = 0) -> Any:
    """A value for `schema`: an example or constant of its own where it has one. `root` is what `#/…` points into."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return "sample"
    if "$ref" in schema:
        return example(_resolved(schema["$ref"], root), root, depth + 1)
    for given in ("examples", "enum"):
        if schema.get(given):
            return schema[given][0]
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    if "allOf" in schema:
        return _all_of(schema, root, depth)
    for choice in ("oneOf", "anyOf"):
        if schema.get(choice):
            return example(schema[choice][0], root, depth + 1)
    return _of_type(schema, root, depth)


def _of_type(schema: dict[str, Any], root: Any, depth: int) -> Any:
    match _type(schema):
        case "object":
            properties = schema.get("properties", {})
            missing = dict.fromkeys(name for name in schema.get("required", ()) if name not in properties)
            return {name: example(one, root, depth + 1) for name, one in {**properties, **missing}.items()}
        case "array":
            return [example(schema.get("items"), root, depth + 1)] * max(1, schema.get("minItems", 1))
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "null":
            return None
    text: str = _FORMATS.get(schema.get("format", ""), "sample")
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]


def _type(schema: dict[str, Any]) -> str:
    declared = schema.get("type")
    if isinstance(declared, list):
        declared = next((one for one in declared if one != "null"), "null")
    if declared is None:
        declared = "object" if "properties" in schema or "required" in schema else "array" if "items" in schema else ""
    return str(declared)


def _number(schema: dict[str, Any]) -> Any:
    step = schema.get("multipleOf", 1)
    least = max(schema.get("minimum", 0), schema.get("exclusiveMinimum", -step) + step)
    value = -(-least // step) * step or step  # the first multiple that is not below, and not 0 if it need not be
    most = min(schema.get("maximum", value), schema.get("exclusiveMaximum", value + step) - step)
    return min(value, most)


def _all_of(schema: dict[str, Any], root: Any, depth: int) -> Any:
    rest = {name: value for name, value in schema.items() if name != "allOf"}
    parts = [example(part, root, depth + 1) for part in (*schema["allOf"], *([rest] if _type(rest) else []))]
    merged: dict[str, Any] = {}
    for part in parts:
        if not isinstance(part, dict):
            return part
        merged |= part
    return merged


def _resolved(reference: str, root: Any) -> Any:
    node = root
    for step in reference.removeprefix("#").split("/")[1:]:
        node = node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return node
