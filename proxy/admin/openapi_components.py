"""What all routes of the OpenAPI document share: the bridge's own shapes, parameters and problems."""

from typing import Any

Json = dict[str, Any]


def ref(kind: str, name: str) -> Json:
    """A reference to one of the components below."""
    return {"$ref": f"#/components/{kind}/{name}"}


def _object(required: tuple[str, ...], **properties: Json) -> Json:
    return {"type": "object", "required": list(required), "properties": properties}


def _text(description: str) -> Json:
    return {"type": "string", "description": description}


_STRING: Json = {"type": "string"}
_WHOLE: Json = {"type": "integer", "minimum": 0}
_BYTES: Json = {  # how a key or header value is shown
    "anyOf": [
        {"type": ["string", "null"]},
        _object(("base64",), base64={"type": "string", "contentEncoding": "base64"}),
    ]
}
_WHICH: Json = {
    "anyOf": [{"const": "all"}, {"type": "array", "items": _STRING, "maxItems": 1_000}],
    "description": 'Ids of records, or "all".',
}

_SCHEMAS: Json = {
    "Receipt": _object(
        ("topic", "partition", "offset", "timestamp_ms"),
        topic=_STRING,
        partition=_WHOLE,
        offset=_WHOLE,
        timestamp_ms={"type": "integer"},
    ),
    "Record": _object(
        ("id", "topic", "partition", "offset", "timestamp_ms", "key", "headers", "value", "encoding"),
        id=_text("What an acknowledgement names."),
        topic=_STRING,
        partition=_WHOLE,
        offset=_WHOLE,
        timestamp_ms={"type": "integer"},
        key=_BYTES,
        headers={"type": "array", "items": {"type": "array", "prefixItems": [_STRING, _BYTES]}},
        value={"description": "The JSON itself, else text, else base64; null for a tombstone."},
        encoding={"enum": ["json", "text", "base64", "none"]},
        deliveries={"type": "integer", "minimum": 1, "description": "In a group: which time this is."},
    ),
    "Records": _object(
        ("records",),
        records={"type": "array", "items": ref("schemas", "Record")},
        next=_text("Without a group: the position to go on from."),
    ),
    "LeasedRecords": _object(
        ("records",),
        records={"type": "array", "items": ref("schemas", "Record")},
        lease=_text("What an acknowledgement names; there is none without records."),
    ),
    "StreamedRecord": {
        "allOf": [
            ref("schemas", "Record"),
            _object(
                (),
                lease=_text("With explicit acks: what an acknowledgement names."),
                position=_text("NDJSON only (an event has it as its id): what Last-Event-ID names."),
            ),
        ]
    },
    "Ack": {
        **_object(
            ("lease",),
            lease=_text("The one that came with the records."),
            accept=_WHICH,
            release=_WHICH,
            reject=_WHICH,
            delay_ms={**_WHOLE, "maximum": 3_600_000, "description": "What is released comes again after so long."},
            renew_ms={
                "type": "integer",
                "minimum": 1,
                "maximum": 3_600_000,
                "description": 'What is not named stays leased for so long from now; not beside "all".',
            },
        ),
        "additionalProperties": False,
        "anyOf": [{"required": [word]} for word in ("accept", "release", "reject", "renew_ms")],
    },
    "Acked": _object(
        ("accepted", "released", "rejected", "renewed"),
        accepted=_WHOLE,
        released=_WHOLE,
        rejected=_WHOLE,
        renewed=_WHOLE,
        lease=_text("Of what is renewed: the token from now on; there is none if nothing is."),
    ),
    "BatchItem": _object(
        ("index", "status"),
        index={**_WHOLE, "description": "Which element of the array, or which line (blank ones are not counted)."},
        status={"type": "integer", "description": "What a request of its own would have been answered; 201: written."},
        partition=_WHOLE,
        offset=_WHOLE,
        step={"enum": ["parse", "template", "schema", "refuse", "queue", "kafka", "bridge"]},
        code=_text("Stable: what programs switch on."),
        detail=_text("For people."),
        errors={"type": "array", "items": ref("schemas", "Mistake")},
    ),
    "Batch": _object(
        ("items", "retry"),
        items={"type": "array", "items": ref("schemas", "BatchItem")},
        retry={"type": "array", "items": _WHOLE, "description": "Of what was not written and may be later."},
    ),
    "Mistake": _object(
        ("detail",),
        pointer=_text("A JSON pointer into the body."),
        field=_text("What is missing outside the body: header.user-agent."),
        detail=_STRING,
    ),
    "Problem": _object(
        ("type", "title", "status", "code", "detail"),
        type=_STRING,
        title=_STRING,
        status={"type": "integer"},
        code=_text("Stable: what programs switch on."),
        detail=_text("For people."),
        request_id=_STRING,
        errors={"type": "array", "items": ref("schemas", "Mistake")},
    ),
}

_PARAMETERS: Json = {
    "max": {
        "name": "max",
        "in": "query",
        "description": "At most so many records.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1_000, "default": 100},
    },
    "wait": {
        "name": "wait",
        "in": "query",
        "description": "Seconds to wait for a first record.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 60, "default": 20},
    },
    "prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=20`: the same as a header (RFC 7240).",
        "schema": _STRING,
    },
    "last-event-id": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "Resume a stream behind the event with this id.",
        "schema": _STRING,
    },
    "ack": {
        "name": "ack",
        "in": "query",
        "description": "The lease of the last poll: all its records are accepted with this one.",
        "schema": _STRING,
    },
    "position": {
        "name": "position",
        "in": "query",
        "description": "Go on from here: the `next` of the last answer.",
        "schema": _STRING,
    },
    "from": {
        "name": "from",
        "in": "query",
        "description": "Where to begin without a position: earliest, latest, or a time such as 2026-11-22T15:00:00Z.",
        "schema": _STRING,
    },
    "if-none-match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The ETag of the last answer, for a poll: 304 if nothing has come since.",
        "schema": _STRING,
    },
}

_PROBLEMS = {
    400: "The request cannot be read; nothing was written.",
    401: "The caller does not say who it is, or what it shows is not accepted; nothing was done.",
    403: "The caller may not do this; or the lease or position is not this bridge's, or another route's.",
    406: "None of the accepted media types can be served.",
    409: "The lease has expired or moved: poll again.",
    410: "The position is no longer in the log, and the range lost is named; or the route is retired.",
    413: "The body, or the record made of it, is too large; nothing was written.",
    415: "The route does not take this content type; nothing was written.",
    422: "A field or parameter is missing or does not fit; nothing was written.",
    431: "The request's head is too large.",
    500: "The bridge failed.",
    501: "CONNECT, TRACE and other protocols are not passed on.",
    502: "The service behind the route broke off, or answered what is no HTTP; it may have acted.",
    503: "Not now; nothing was written. Repeat after the time in Retry-After.",
    504: "The outcome is not known. A repeated ack is harmless; a repeated record may be written twice.",
}
_RETRY_AFTER: Json = {"Retry-After": {"description": "Seconds.", "schema": _WHOLE}}


def _problem(status: int, description: str) -> Json:
    content = {"application/problem+json": {"schema": ref("schemas", "Problem")}}
    headers = {"headers": _RETRY_AFTER} if status == 503 else {}
    return {"description": description, "content": content, **headers}


COMPONENTS: Json = {
    "schemas": _SCHEMAS,
    "parameters": _PARAMETERS,
    "responses": {f"Problem{status}": _problem(status, text) for status, text in _PROBLEMS.items()},
}
