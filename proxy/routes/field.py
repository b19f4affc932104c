"""One placeholder, compiled: a function from a request to the value that `{source.name}` stands for."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from proxy.config.media import FORM
from proxy.config.placeholder import Placeholder
from proxy.errors import FieldInvalid, FieldMissing
from proxy.routes.request import Exact, Request

Read = Callable[[Request], Any]

_PLACES = {
    "path": "the path",
    "query": "the query",
    "header": "the headers",
    "body": "the body",
    "claims": "the caller's claims",
}


def value_reader(placeholder: Placeholder) -> Read:
    """Reads its JSON value, a fraction as Exact. The function raises FieldMissing for null or nothing, or a 400."""
    return _READERS[placeholder.source](placeholder)


def text_reader(placeholder: Placeholder) -> Callable[[Request], str]:
    """Reads its value as text: a number, true or false as JSON writes it. Also raises FieldInvalid."""
    read = value_reader(placeholder)
    if placeholder.source not in ("body", "record", "claims"):
        return read  # always text

    def text(request: Request) -> str:
        value = read(request)
        return value if isinstance(value, str) else _json_text(value, placeholder)

    return text


def json_reader(placeholder: Placeholder) -> Callable[[Request], bytes]:
    """Reads its value as JSON, whatever its type. Also raises FieldInvalid, for one nested too deeply."""
    read = value_reader(placeholder)

    def encoded(request: Request) -> bytes:
        value = read(request)
        if isinstance(value, Exact):
            return value.encode()
        try:
            return orjson.dumps(value)
        except orjson.JSONEncodeError:
            raise invalid(placeholder, "is nested too deeply for an answer") from None

    return encoded


def invalid(placeholder: Placeholder, what: str) -> FieldInvalid:
    return FieldInvalid(f"{placeholder} {what}.", errors=[{**where(placeholder), "detail": what}])


_READ_AS_FORM = " It was read as a form, since its Content-Type says that it is one; JSON needs application/json."


def _missing(placeholder: Placeholder, hint: str = "") -> FieldMissing:
    place = _PLACES[placeholder.source]
    detail = f"The route needs {placeholder}, and there is no such field in {place} of this request, or null.{hint}"
    return FieldMissing(detail, errors=[{**where(placeholder), "detail": "is missing or null"}])


def where(placeholder: Placeholder) -> dict[str, str]:
    """A pointer into the body, or the name of what is outside it."""
    if placeholder.source == "body":
        return {"pointer": pointer(placeholder.way)}
    return {"field": str(placeholder).strip("{}")}


def pointer(way: Sequence[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in way)


def _json_text(value: Any, placeholder: Placeholder) -> str:
    if isinstance(value, (dict, list)):
        kind = "an object" if isinstance(value, dict) else "an array"
        raise invalid(placeholder, f"is {kind}, and only text, a number, true or false can stand here")
    return orjson.dumps(value).decode()


def _body(placeholder: Placeholder) -> Read:
    first, *others = placeholder.way

    def read(request: Request) -> Any:
        fields = request.fields
        value = fields.get(first) if isinstance(fields, dict) and not others else follow(fields, placeholder.way)
        if value is None:
            raise _missing(placeholder, _READ_AS_FORM if request.media_type == FORM else "")
        return follow(request.exact_fields, placeholder.way) if isinstance(value, float) else value

    return read


def follow(value: Any, way: Sequence[str]) -> Any:
    """What is at the end of `way`, by name into objects and by index into arrays; None if it leads nowhere."""
    for step in way:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _path(placeholder: Placeholder) -> Read:
    name = placeholder.way[0]
    return lambda request: request.path[name]


def _query(placeholder: Placeholder) -> Read:
    name = placeholder.way[0]

    def read(request: Request) -> str:
        value = request.query.get(name)
        if value is None:
            raise _missing(placeholder)
        return value

    return read


def _header(placeholder: Placeholder) -> Read:
    name = placeholder.way[0].lower().encode()

    def read(request: Request) -> str:
        value = request.header(name)
        if value is None:
            raise _missing(placeholder)
        return value

    return read


def _record(placeholder: Placeholder) -> Read:
    name = placeholder.way[0]
    return lambda request: getattr(request.receipt, name)


def _claims(placeholder: Placeholder) -> Read:
    name = placeholder.way[0]

    def read(request: Request) -> Any:
        value = request.principal.claim(name) if request.principal else None
        if value is None:
            raise _missing(placeholder)
        return value

    return read


def _principal(placeholder: Placeholder) -> Read:
    def read(request: Request) -> str:
        if request.principal is None:
            raise FieldMissing(f"The route needs {placeholder}, and nobody was asked who they are.")
        return request.principal.id

    return read


_READERS: dict[str, Callable[[Placeholder], Read]] = {
    "path": _path,
    "query": _query,
    "header": _header,
    "body": _body,
    "record": _record,
    "claims": _claims,
    "principal": _principal,
    "uuid": lambda placeholder: lambda request: request.uuid,
    "now": lambda placeholder: lambda request: request.now,
}
