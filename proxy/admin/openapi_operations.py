"""One operation of the OpenAPI document: what a configured route takes, and what it answers."""

from collections.abc import Iterable, Iterator
from typing import Any

from proxy.admin.openapi_batch import with_batches
from proxy.admin.openapi_components import Json, ref
from proxy.admin.openapi_schemas import schema_name
from proxy.config.media import FORM
from proxy.config.model import Consume, Produce, Response, Route
from proxy.config.pattern import ANY_METHOD
from proxy.config.placeholder import Placeholder, placeholders

JSON = "application/json"


def operation(route: Route, method: str) -> Json:
    """The operation of one method of a route, without the parameters of its path."""
    operation_id = f"{route.name}-{method}" if route.method == ANY_METHOD else route.name
    deprecated = {"deprecated": True} if route.deprecation else {}
    return {"operationId": operation_id, **_described(route), **deprecated}


def _described(route: Route) -> Json:
    if route.produce:
        return _produce(route, route.produce)
    return _consume(route.consume) if route.consume else _passed_on(route)


def _passed_on(route: Route) -> Json:
    """Nothing is known of what the service behind it takes and answers."""
    return {
        "summary": f"Passed on to {route.upstream} as it comes.",
        "tags": ["passthrough"],
        "parameters": [],
        "responses": {"default": {"description": "What the service answers."}, **_problems(431, 501, 502, 503, 504)},
    }


def ack_operation(route: Route) -> Json:
    """The companion of a group's route, where its clients accept what they were lent."""
    return {
        "operationId": f"{route.name}-ack",
        "summary": "Accept, release or reject leased records, or keep them for longer.",
        "description": "Answered after the commit, and after dead letters are written. Repeating it is harmless.",
        "tags": ["consume"],
        "parameters": [],
        "requestBody": {"required": True, "content": {JSON: {"schema": ref("schemas", "Ack")}}},
        "responses": {
            "200": {"description": "It is committed.", "content": {JSON: {"schema": ref("schemas", "Acked")}}},
            **_problems(400, 403, 409, 413, 422, 431, 500, 503, 504),
        },
    }


def _problems(*statuses: int) -> Json:
    return {str(status): ref("responses", f"Problem{status}") for status in statuses}


# ---- produce


def _produce(route: Route, produce: Produce) -> Json:
    used = tuple(dict.fromkeys(one for template in _templates(route, produce) for one in placeholders(template)))
    status = str(route.response.status if route.response else 201)
    described: Json = {
        "summary": f"Write one record to {produce.topic}.",
        "tags": ["produce"],
        "parameters": [*_parameters("query", used), *_parameters("header", used)],
        "responses": {status: _written(route.response), **_problems(400, 413, 415, 422, 431, 500, 503, 504)},
    }
    if produce.value is not None:
        described["requestBody"] = {"required": True, "content": _content(route, produce, used)}
    return with_batches(produce, described) if produce.batch else described


def _templates(route: Route, produce: Produce) -> Iterator[str]:
    """Every template that a request must be able to fill."""
    yield from (one for one in (produce.key, produce.partition, produce.timestamp) if one)
    yield from produce.headers.values()
    if route.response:
        yield from route.response.headers.values()
        yield from _strings(route.response.body)


def _strings(value: Any) -> Iterator[str]:
    """The strings anywhere in JSON data, names of members aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)


def _parameters(source: str, used: Iterable[Placeholder]) -> list[Json]:
    names = dict.fromkeys(one.way[0] for one in used if one.source == source)
    return [{"name": name, "in": source, "required": True, "schema": {"type": "string"}} for name in names]


def _content(route: Route, produce: Produce, used: Iterable[Placeholder]) -> Json:
    """By media type: the route's schema, else the fields its templates need, else anything."""
    fields = list(dict.fromkeys(one.way[0] for one in used if one.source == "body" and one.way))
    schema: Json = {}
    media_types: tuple[str, ...] = ("*/*",)
    if produce.schema_:
        schema, media_types = ref("schemas", schema_name(route)), (JSON,)
    elif fields:
        schema, media_types = {"type": "object", "required": fields}, (JSON, FORM)
    return {media_type: {"schema": schema} for media_type in produce.content_types or media_types}


def _written(response: Response | None) -> Json:
    description = "All in-sync replicas have the record."
    if response is None:
        return {"description": description, "content": {JSON: {"schema": ref("schemas", "Receipt")}}}
    if response.body is None:
        return {"description": description}
    media_type = "text/plain" if isinstance(response.body, str) else JSON
    return {"description": description, "content": {media_type: {"schema": {}}}}


# ---- consume


STREAMS = (
    "A stream's further events are `gap` (records are lost to the client), `end` (why the bridge ends it, and when to "
    "come back); in NDJSON they are lines with that one member."
)


def _retired(consume: Consume) -> Json:
    return {
        "summary": f"Retired: nothing more comes of {', '.join(consume.topics)} here.",
        "deprecated": True,
        "tags": ["consume"],
        "parameters": [],
        "responses": {"204": {"description": "SSE: stop."}, **_problems(406, 410, 431, 500)},
    }


def _consume(consume: Consume) -> Json:
    if consume.closed:
        return _retired(consume)
    reader = f"for the group {consume.group}" if consume.group else "from the client's own position"
    is_explicit = consume.ack == "explicit"
    further = () if consume.group and not is_explicit else ("ack",) if is_explicit else ("position", "if-none-match")
    asked = ("max", "wait", "prefer", "last-event-id", *further, *(("from",) if consume.allow_from else ()))
    acks = (409, 504) if is_explicit else ()
    unchanged = {} if consume.group else {"304": {"description": "A poll that has what there is: nothing newer came."}}
    bound = (422,) if consume.filter else ()
    return {
        "summary": f"Read {', '.join(consume.topics)} {reader}.",
        "description": f"One answer (long poll), Server-Sent Events or NDJSON, by the Accept header. {STREAMS}",
        "tags": ["consume"],
        "parameters": [*(ref("parameters", name) for name in asked), *_filtering(consume)],
        "responses": {
            "200": _records(consume),
            **unchanged,
            **_problems(400, 403, 406, *acks, 410, *bound, 431, 500, 503),
        },
    }


def _filtering(consume: Consume) -> list[Json]:
    """The parameters that its filter is bound to. Without one of them, what needs it does not filter."""
    texts = [text for tests in (consume.filter or {}).values() for text in tests.values()]
    used = [one for text in texts for one in placeholders(text)]
    return [{**parameter, "required": False} for parameter in _parameters("query", used)]


def _records(consume: Consume) -> Json:
    """Records in the route's shape: in one answer, an event each, or a line each."""
    poll: Json = {"type": "array", "items": {}}
    one: Json = {}
    if consume.shape == "envelope":
        poll = ref("schemas", "LeasedRecords" if consume.ack == "explicit" else "Records")
        one = ref("schemas", "StreamedRecord")
    content = {JSON: {"schema": poll}, "text/event-stream": {"schema": one}, "application/x-ndjson": {"schema": one}}
    described: Json = {"description": "What there is, after the wait perhaps nothing.", "content": content}
    if consume.shape == "values" and consume.ack == "explicit":
        lease = "The lease of the records of one answer."
        described["headers"] = {"Stepbridge-Lease": {"description": lease, "schema": {"type": "string"}}}
    return described
