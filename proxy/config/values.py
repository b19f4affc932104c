"""What one value of the file may be. A ValueError's text is read by people: what is wrong, what would be right."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from proxy.config.condition import read_condition, read_field
from proxy.config.later import NOT_IN_THIS_VERSION
from proxy.config.moment import read_moment
from proxy.config.pattern import Pattern
from proxy.config.rate import parse_rate
from proxy.config.share import parse_share

_HOP_BY_HOP = ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authenticate")
_SERVERS_OWN = (*_HOP_BY_HOP, "proxy-authorization", "proxy-connection", "content-length", "date")
_EVENTS_TAKEN = ("message", "open", "error", "gap", "end")  # by browsers, and by us


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"is {str(value).lower()}, must be a whole number")
    return value


def _topic(value: str) -> str:
    if value in (".", "..") or not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", value):
        if "{" in value:
            raise ValueError(f"{value!r} is a template, and a topic is not made of one: write a route for each topic")
        raise ValueError(f"{value!r} is no topic name: letters, digits, '.', '_' and '-', at most 249 of them")
    return value


def _group(value: str) -> str:
    if not value.isprintable() or not value.strip() or len(value) > 249:
        raise ValueError("is no group name: write 1 to 249 printable characters")
    return value


def _servers(value: str) -> str:
    for server in value.split(","):
        if not re.fullmatch(r"\s*(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}\s*", server):
            raise ValueError(f"{server!r} is no broker address: write host:port, several with a comma between")
    return value


def _address(value: str) -> str:
    if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}", value):
        raise ValueError(f"{value!r} is no address: write host:port, an IPv6 host in brackets")
    if not 1 <= int(value.rpartition(":")[2]) <= 65_535:
        raise ValueError(f"{value!r} has no port that others could know: write 1 to 65535")
    return value


def _number_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else [value]


def _service_name(value: str) -> str:
    if not value.isprintable() or not 1 <= len(value.strip()) <= 100:
        raise ValueError("is no name of a service: write 1 to 100 printable characters")
    return value.strip()


def _media_type(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+", value.lower()):
        raise ValueError(f"{value!r} is no media type: write for example application/json, without parameters")
    return value.lower()


def _secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 16:
        raise ValueError("is too short: a secret has at least 16 characters (openssl rand -base64 32 makes one)")
    return value


def _route(value: str) -> str:
    Pattern.parse(value)
    return " ".join(value.split())


def _route_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value):
        raise ValueError(f"{value!r} is no name: letters, digits, '.', '_' and '-', at most 100 of them")
    return value


def _header_name(value: str) -> str:
    if not value.isprintable() or not 1 <= len(value) <= 249:
        raise ValueError(f"{value!r} is no header name: write 1 to 249 printable characters")
    return value


def _answer_header(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,249}", value):
        raise ValueError(f"{value!r} is no HTTP header name")
    if value.lower() in _SERVERS_OWN:
        raise ValueError(f"{value} is the server's own header: leave it out")
    return value


def _origin(value: str) -> str:
    if value != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", value):
        example = "https://shop.example.com, in lower case and without a path or a slash at the end"
        raise ValueError(f'{value!r} is no origin: write for example {example}; "*" is any')
    return value


def _event_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]{0,99}", value):
        raise ValueError(f"{value!r} is no event name: a letter, then letters, digits, '.', '_' and '-'")
    if value in _EVENTS_TAKEN:
        raise ValueError(f"{value} means something else to clients: write another, such as heartbeat")
    return value


def _start(value: str) -> str:
    if value not in ("earliest", "latest") and read_moment(value) is None:
        raise ValueError(f"is {value!r}, must be earliest, latest, or a time such as 2026-11-22T15:00:00Z")
    return value


def _rate(value: str) -> str:
    parse_rate(value)
    return " ".join(value.split())


def _share(value: str) -> str:
    parse_share(value)
    return "".join(value.split())


def _collector(value: str) -> str:
    where = urlsplit(value)
    if where.scheme not in ("http", "https") or not where.hostname or where.query or where.fragment:
        raise ValueError(f"{value!r} is no address of a collector: write for example http://collector:4318/v1/traces")
    if where.username is not None:
        raise ValueError("holds a user or password: give the collector's token in OTEL_EXPORTER_OTLP_HEADERS")
    return value if where.path.strip("/") else f"{value.rstrip('/')}/v1/traces"


def _value(value: Any) -> Any:
    if value not in (None, "{body}"):
        raise ValueError(f"a value template is {NOT_IN_THIS_VERSION}: write null (a tombstone), or leave it out")
    return value


_NO_TRUTH = BeforeValidator(_no_truth)
Port = Annotated[int, Field(ge=0, le=65_535), _NO_TRUTH]
Count = Annotated[int, Field(gt=0), _NO_TRUTH]
Bytes = Count
Workers = Annotated[int, Field(ge=1, le=256), _NO_TRUTH]
Milliseconds = Annotated[int, Field(gt=0, le=86_400_000), _NO_TRUTH]
DelayMs = Annotated[int, Field(ge=0, le=86_400_000), _NO_TRUTH]
SessionTimeoutMs = Annotated[int, Field(ge=6_000, le=1_800_000), _NO_TRUTH]
Status = Annotated[int, Field(ge=200, le=399), _NO_TRUTH]
TopicName = Annotated[str, AfterValidator(_topic)]
GroupName = Annotated[str, AfterValidator(_group)]
Servers = Annotated[str, AfterValidator(_servers)]
Address = Annotated[str, AfterValidator(_address)]
MediaType = Annotated[str, AfterValidator(_media_type)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_one_or_more, json_schema_input_type=str | list[str])]
RouteText = Annotated[str, AfterValidator(_route)]
RouteName = Annotated[str, AfterValidator(_route_name)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
AnswerHeader = Annotated[str, AfterValidator(_answer_header)]
Origin = Annotated[str, AfterValidator(_origin)]
EventName = Annotated[str, AfterValidator(_event_name)]
StartText = Annotated[str, AfterValidator(_start)]
FilterField = Annotated[str, AfterValidator(read_field)]
FilterTests = Annotated[
    dict[str, str],
    BeforeValidator(
        read_condition,
        json_schema_input_type=str | int | float | bool | dict[Literal["prefix", "min", "max"], str | int | float],
    ),
]
RateText = Annotated[str, AfterValidator(_rate)]
Share = Annotated[str, AfterValidator(_share)]
ServiceName = Annotated[str, AfterValidator(_service_name)]
CollectorUrl = Annotated[str, AfterValidator(_collector)]
Template = str
NumericTemplate = Annotated[Template, BeforeValidator(_number_as_text, json_schema_input_type=int | str)]
Value = Annotated[Literal["{body}"] | None, BeforeValidator(_value)]
