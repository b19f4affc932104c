"""What a route lets in before anything is made of it: by content type, then by schema.

A route that reads `{body.x}` takes JSON (or no type at all) and forms; one with a schema takes only JSON; any other
takes anything. A route with `batch` takes NDJSON besides. `content_types` narrows that, and then a type must be given.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import orjson
from jsonschema_rs import ValidationError, Validator

from proxy.config.bodyschema import compile_schema
from proxy.config.media import FORM, NDJSON, is_json
from proxy.errors import SchemaViolation, UnsupportedMediaType
from proxy.routes.field import pointer
from proxy.routes.request import Request

MAX_ERRORS = 100  # of one body that are listed
MAX_DETAIL = 300  # characters of one of them

Check = Callable[[Request], None]


def type_check(
    content_types: Sequence[str], *, reads_body: bool, has_schema: bool, is_batch: bool = False
) -> Check | None:
    """A function that raises UnsupportedMediaType; None where anything goes."""
    if content_types:
        return _only(content_types)
    if not (has_schema or reads_body):
        return None
    also = {**({} if has_schema else {FORM: "a form"}), **({NDJSON: "NDJSON"} if is_batch else {})}
    return _readable(" or ".join(["JSON", *also.values()]), frozenset(also))


def schema_check(validator: Validator) -> Check:
    """A function that raises SchemaViolation with every error (at most MAX_ERRORS), or NotJson."""

    def check(request: Request) -> None:
        document = request.fields
        try:
            if validator.is_valid(document):
                return
            errors = [_entry(error) for error in islice(validator.iter_errors(document), MAX_ERRORS)]
        except ValueError:  # deeper than the validator goes
            errors = [{"pointer": "", "detail": "is nested too deeply to be checked"}]
        raise _violation(errors)

    return check


def faults_of(document: Any) -> Callable[[bytes], Sequence[dict[str, str]]]:
    """A function that says what of a schema a body does not fit, as the 422 would but without the body's values."""
    validator = compile_schema(document, mask="the value")

    def faults(body: bytes) -> Sequence[dict[str, str]]:
        try:
            return [_entry(error) for error in islice(validator.iter_errors(orjson.loads(body)), MAX_ERRORS)]
        except ValueError:  # no JSON, or nested too deeply
            return []

    return faults


def _only(content_types: Sequence[str]) -> Check:
    allowed = frozenset(content_types)

    def check(request: Request) -> None:
        if request.media_type not in allowed:
            raise _refusal(request.media_type, ", ".join(content_types))

    return check


def _readable(what: str, also: frozenset[str]) -> Check:
    def check(request: Request) -> None:
        media_type = request.media_type
        if media_type not in ("application/json", "") and not is_json(media_type) and media_type not in also:
            raise _refusal(media_type, what)

    return check


def _refusal(media_type: str, takes: str) -> UnsupportedMediaType:
    sent = f"{media_type[:100]!r} is not" if media_type else "A body without a Content-Type is not"
    return UnsupportedMediaType(f"{sent} taken here: this route takes {takes}.")


def _violation(errors: Sequence[dict[str, str]]) -> SchemaViolation:
    count = f"{len(errors)} or more mistakes" if len(errors) == MAX_ERRORS else f"{len(errors)} mistake(s)"
    return SchemaViolation(
        f"The body does not fit the route's schema: {count}, each listed in `errors`.", errors=errors
    )


def _entry(error: ValidationError) -> dict[str, str]:
    message = error.message
    shown = message if len(message) <= MAX_DETAIL else message[:MAX_DETAIL] + "…"
    return {"pointer": pointer(error.instance_path), "detail": shown}
