"""What `batch: true` adds to an operation: arrays and lines that it takes, and the answer that has an item for each."""

from proxy.admin.openapi_components import Json, ref
from proxy.config.media import NDJSON, is_json
from proxy.config.model import Produce

JSON = "application/json"


def with_batches(produce: Produce, described: Json) -> Json:
    """The operation of a route that takes one record, as that of one that takes many too."""
    content = described.get("requestBody", {}).get("content", {JSON: {"schema": {}}})
    return {
        **described,
        "summary": f"Write one record, or many, to {produce.topic}.",
        "description": "A JSON array is many records, and so is NDJSON, a line each; anything else is one.",
        "requestBody": {"required": True, "content": _content(produce, content)},
        "responses": {**described["responses"], **_responses(described["responses"])},
    }


def _content(produce: Produce, content: Json) -> Json:
    """What each type is for one record, an array of it, and NDJSON where it is not shut out."""
    taken = {media: {"schema": _or_many(one["schema"])} if is_json(media) else one for media, one in content.items()}
    if not produce.content_types:
        each: Json = next((one["schema"] for media, one in content.items() if is_json(media)), {})
        taken[NDJSON] = {"schema": each}
    return taken


def _or_many(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]} if schema else schema


def _responses(single: Json) -> Json:
    batch = ref("schemas", "Batch")
    alone = single.get("201", {"description": "All records of the array are written."})
    content = alone.get("content", {})
    written = {"anyOf": [content[JSON]["schema"], batch]} if JSON in content else batch
    some = "Some records of the array are not written; or lines, one result each while they arrive."
    return {
        "201": {**alone, "content": {**content, JSON: {"schema": written}}},
        "207": {
            "description": some,
            "content": {JSON: {"schema": batch}, NDJSON: {"schema": ref("schemas", "BatchItem")}},
        },
    }
