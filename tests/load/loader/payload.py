"""What is sent: bodies of exactly 250 bytes, and the requests around them."""

from collections.abc import Callable, Iterator
from itertools import cycle

import orjson

from tests.load.loader.http1 import request

BODY_BYTES = 250
STORES = 20
SKUS = [f"sku-{number}" for number in range(50)]
RECORDS = 100  # in a request that has many


def stock_body(sku: str) -> bytes:
    """A stock level as a store reports it, padded to BODY_BYTES."""
    return _padded({"sku": sku, "quantity": 7, "location": "shelf", "counted_by": "handheld-3"})


def event_body(number: int, sent_ns: int) -> bytes:
    """A stock level that carries its number and the monotonic nanosecond it was sent at."""
    return _padded({"sku": str(number), "seq": number, "sent_ns": sent_ns})


def _padded(fields: dict[str, object]) -> bytes:
    bare = len(orjson.dumps({**fields, "note": ""}))
    return orjson.dumps({**fields, "note": "x" * (BODY_BYTES - bare)})


def stock_request(path: str, store: int, sku: str) -> bytes:
    """One POST; `{store}` in the path is filled in."""
    return request("POST", path.replace("{store}", str(store)), stock_body(sku))


def stock_requests(path: str) -> Iterator[bytes]:
    """Without end: 1,000 different keys over and over, so that every partition has its share."""
    return cycle([stock_request(path, store, sku) for sku in SKUS for store in range(STORES)])


def array_requests(path: str) -> Iterator[bytes]:
    """Without end: RECORDS stock levels of one store, as one JSON array."""
    body = b"[" + b",".join(_levels()) + b"]"
    return cycle([request("POST", path.replace("{store}", str(store)), body) for store in range(STORES)])


def ndjson_requests(path: str) -> Iterator[bytes]:
    """The same, a line each."""
    body, media = b"".join(level + b"\n" for level in _levels()), "application/x-ndjson"
    return cycle([request("POST", path.replace("{store}", str(store)), body, media) for store in range(STORES)])


def _levels() -> list[bytes]:
    return [stock_body(SKUS[number % len(SKUS)]) for number in range(RECORDS)]


PAYLOADS: dict[str, Callable[[str], Iterator[bytes]]] = {  # of a path
    "one": stock_requests,
    "array": array_requests,
    "ndjson": ndjson_requests,
}
