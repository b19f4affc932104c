"""Requests and routes for tests."""

from typing import Any

from proxy.config.model import Route
from proxy.routes.recipe import RecordRecipe
from proxy.routes.request import Request

JSON = (b"content-type", b"application/json")
FORM = (b"content-type", b"application/x-www-form-urlencoded")


def request(
    body: bytes = b"", *headers: tuple[bytes, bytes], path: dict[str, str] | None = None, query: bytes = b""
) -> Request:
    return Request(path or {}, query, headers, body)


def route(response: Any = None, at: str = "POST /stores/{store}/stock", **produce: Any) -> Route:
    said = {"route": at, "produce": {"topic": "retail.stock", **produce}}
    return Route.model_validate(said if response is None else {**said, "response": response})


def recipe(response: Any = None, **produce: Any) -> RecordRecipe:
    return RecordRecipe.compile(route(response, **produce))


def schema(**document: Any) -> dict[str, Any]:
    """As the loader hands it to the model."""
    return {"file": "x.json", "document": document}
