"""One record as its readers get it: a JSON object, or with `shape: values` the bare value.

The value's own JSON is embedded byte for byte: checked, but never written anew, so that 1.10 stays 1.10, large
numbers keep their digits and doubled keys stay. Nothing here holds a raw CR or LF, whatever is in the record: in
JSON they can only stand between the words, where a space does as well. So each of these fits into one SSE line.
"""

from typing import Any

import orjson

from proxy.record import Fetched
from proxy.shown import shown_bytes, text_or_base64

_NULL = orjson.Fragment(b"null")


def envelope(record: Fetched, deliveries: int | None = None) -> bytes:
    """The record as a JSON object. `deliveries` is in it where it is given: reading for a group.

    Never raises, for any bytes: a value that is not JSON is text, one that is not UTF-8 either is base64.
    """
    encoding, value = shown_value(record.value)
    topic, partition, offset = record.topic, record.partition, record.offset
    fields: dict[str, Any] = {
        "id": f"{topic}:{partition}:{offset}",
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp_ms": record.timestamp,
        "key": shown_bytes(record.key),
        "headers": [(_name(name), shown_bytes(value)) for name, value in record.headers] if record.headers else (),
        "value": value,
        "encoding": encoding,
    }
    if deliveries is not None:
        fields["deliveries"] = deliveries
    return orjson.dumps(fields)


def bare(record: Fetched) -> bytes:
    """The value alone, as JSON: itself, or a string of its text or base64, or null for a tombstone."""
    return orjson.dumps(shown_value(record.value)[1])


def shown_value(value: bytes | None) -> tuple[str, str | orjson.Fragment]:
    """The encoding, and the value as that."""
    if value is None:
        return "none", _NULL
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return text_or_base64(value)
    if 10 in value or 13 in value:
        value = value.replace(b"\r", b" ").replace(b"\n", b" ")
    return "json", orjson.Fragment(value)


def _name(name: str) -> str:
    """A header's name; half a surrogate pair, which JSON text cannot carry, becomes a question mark."""
    return name if name.isascii() else name.encode("utf-8", "replace").decode()
