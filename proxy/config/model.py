"""The configuration as it is used: frozen models whose attributes are the keys of the file.

Two keys are words Python or pydantic keep for themselves and carry an underscore: `consume.from_` and
`produce.schema_`. A default that depends on another key is filled in here, so that readers never ask twice:
a route always has its `name`, a consume its `from_` and, with a group, its `ack`.

What a single value may be is said here; what keys may stand together is said in `check.py`. Descriptions are
read by editors (`schema.py`) and by the test of `config/reference.yaml`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

# ---- values


def _whole(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"is {str(value).lower()}, must be a whole number")
    return value


def _topic(value: str) -> str:
    if value in (".", "..") or not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", value):
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


def _number_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else [value]


def _media_type(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+", value.lower()):
        raise ValueError(f"{value!r} is no media type: write for example application/json, without parameters")
    return value.lower()


def _secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 16:
        raise ValueError("is too short: a secret has at least 16 characters (openssl rand -base64 32 makes one)")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Port = Annotated[Whole, Field(ge=0, le=65_535)]
Milliseconds = Annotated[Whole, Field(gt=0, le=86_400_000)]
Count = Annotated[Whole, Field(gt=0)]
Bytes = Annotated[Whole, Field(gt=0)]
TopicName = Annotated[str, AfterValidator(_topic)]
GroupName = Annotated[str, AfterValidator(_group)]
Servers = Annotated[str, AfterValidator(_servers)]
MediaType = Annotated[str, AfterValidator(_media_type)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Template = str
NumericTemplate = Annotated[Template, BeforeValidator(_number_as_text)]


class Section(BaseModel):
    """A mapping of the file: no other keys than these, and never changed once read."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_alias=True, validate_by_name=True)


class SchemaFile(BaseModel):
    """A JSON Schema as the loader read it. `file` is what the configuration says; `document` is checked."""

    model_config = ConfigDict(frozen=True)

    file: str
    document: Any


# ---- sections


class Kafka(Section):
    bootstrap_servers: Servers = Field(description="Brokers to start from: host:port, several with a comma between.")
    session_timeout_ms: Annotated[Whole, Field(ge=6_000, le=1_800_000)] = Field(
        10_000, description="A group member not heard of for so long loses its partitions (brokers' minimum 6000)."
    )


class Topics(Section):
    create: bool = Field(False, description="Make a topic that a route names and Kafka lacks; else it is refused.")


class Server(Section):
    host: str = Field("127.0.0.1", description="Address to listen on; any other than loopback needs `auth`.")
    port: Port = Field(8080, description="Port of the configured routes; 0 takes a free one.")


class Admin(Section):
    host: str = Field("127.0.0.1", description="Address of the admin side; any other than loopback needs `auth`.")
    port: Port = Field(9090, description="Port of health, metrics and control; 0 takes a free one.")


class Limits(Section):
    max_body_bytes: Bytes = Field(1_048_576, description="Largest request body; beyond it 413.")
    max_header_bytes: Bytes = Field(65_536, description="Largest request head (line and headers); beyond it 431.")
    header_timeout_ms: Milliseconds = Field(10_000, description="Time for a request's head to arrive; then 408.")
    in_flight: Count = Field(1_024, description="Produce requests at one time; beyond it 503.")
    in_flight_bytes: Bytes = Field(67_108_864, description="Their bodies together; beyond it 503.")
    streams: Count = Field(10_000, description="Open streams and waiting polls; beyond it 503.")


class Drain(Section):
    delay_ms: Annotated[Whole, Field(ge=0, le=86_400_000)] = Field(
        5_000, description="After SIGTERM: unready, but still accepting, so that load balancers look away first."
    )
    timeout_ms: Milliseconds = Field(30_000, description="Then at most this long for requests, queues and groups.")


class Observe(Section):
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    log_format: Literal["auto", "json", "text"] = Field("auto", description="auto: text on a terminal, else JSON.")


# ---- routes


class Produce(Section):
    topic: TopicName = Field(description="Topic the record is written to.")
    key: Template | None = Field(None, description="Template of the key; without it the record has none.")
    headers: dict[str, Template] = Field({}, description="Record headers: a template each.")
    partition: NumericTemplate | None = Field(None, description="Template of the partition; else the key decides.")
    timestamp: NumericTemplate | None = Field(
        None, description="Template of the time: milliseconds since the epoch, or ISO 8601; else now."
    )
    value: Literal["{body}"] | None = Field(
        "{body}", description="{body}: the body's bytes exactly. null, on a DELETE route: a tombstone."
    )
    schema_: SchemaFile | None = Field(
        None, alias="schema", description="JSON Schema file that bodies must fit, relative to this file."
    )
    content_types: tuple[MediaType, ...] = Field((), description="Media types taken; others get 415.")
    timeout_ms: Milliseconds = Field(10_000, description="Time for all in-sync replicas to have the record.")
    on_outage: Literal["reject"] = Field("reject", description="While Kafka is away: 503, nothing is written.")
    partitioner: Literal["murmur2", "consistent_random"] = Field(
        "murmur2", description="murmur2 as Java's clients; consistent_random as librdkafka's."
    )


class Consume(Section):
    topics: tuple[TopicName, ...] = Field(min_length=1, description="Topics that are read together.")
    group: GroupName | None = Field(None, description="Consumer group: each record goes to one client of it.")
    ack: Literal["explicit", "auto"] | None = Field(
        None, description="With a group: explicit (the default; leases until accepted) or auto."
    )
    lease_ms: Milliseconds = Field(30_000, description="With explicit acks: a record not accepted comes again then.")
    shape: Literal["envelope", "values"] = Field("envelope", description="Whole records, or their bare values.")
    from_: Literal["earliest", "latest"] = Field(
        "latest", alias="from", description="Where a first reader begins: earliest with a group, else latest."
    )
    heartbeat_ms: Milliseconds = Field(15_000, description="A comment after so long a silence on a stream.")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("group") is not None:
            start = {} if "from_" in data else {"from": "earliest"}
            return {"ack": "explicit", **start, **data}
        return data


class Response(Section):
    status: Annotated[Whole, Field(ge=200, le=299)] = Field(201, description="Status once the record is written.")
    headers: dict[str, Template] = Field({}, description="Answer headers: a template each.")
    body: Any = Field(None, description="JSON whose strings are templates, or one text; without it no body.")


class RouteLimits(Section):
    max_body_bytes: Bytes | None = Field(None, description="This route's largest body; else the common limit.")
    in_flight: Count | None = Field(None, description="This route's requests at one time; else the common limit.")


class Route(Section):
    route: str = Field(description="Method and path: POST /stores/{store}/stock.")
    name: str = Field("", description="Its id in metrics and logs: post-stores-store-stock.")
    produce: Produce | None = Field(None, description="Write each request as one record.")
    consume: Consume | None = Field(None, description="Read records: long poll, SSE or NDJSON.")
    response: Response | None = Field(None, description="What clients get once the record is written; else 201.")
    limits: RouteLimits = Field(RouteLimits(), description="This route's own limits.")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("route"), str):
            return {"name": default_name(data["route"]), **data}
        return data

    @property
    def method(self) -> str:
        """The method in upper case, or `*` for any."""
        return self.route.split(maxsplit=1)[0]

    @property
    def path(self) -> str:
        """The path pattern: /stores/{store}/stock."""
        return self.route.split(maxsplit=1)[1]

    @property
    def ack_path(self) -> str | None:
        """Where clients of this route POST their acks; None where there is nothing to accept."""
        explicit = self.consume is not None and self.consume.ack == "explicit"
        return self.path.rstrip("/") + "/ack" if explicit else None


def default_name(route: str) -> str:
    """`POST /stores/{store}/stock` is named post-stores-store-stock."""
    words: list[str] = re.findall(r"[a-z0-9_]+", route.lower())
    return "-".join(["any", *words] if route.startswith("*") else words)


class Config(Section):
    kafka: Kafka = Field(description="The cluster.")
    topics: Topics = Field(Topics(), description="What may happen to topics.")
    auth: Literal["none"] | None = Field(None, description="none: no callers are told apart. Must be written out.")
    server: Server = Field(Server(), description="Where clients come in.")
    admin: Admin = Field(Admin(), description="Where operators come in.")
    secret: Annotated[tuple[Secret, ...], BeforeValidator(_one_or_more)] = Field(
        (), max_length=2, description="Signs leases and positions; of two the first signs and both are taken."
    )
    limits: Limits = Field(Limits(), description="Bounds for all routes together.")
    drain: Drain = Field(Drain(), description="How the bridge stops.")
    observe: Observe = Field(Observe(), description="Logs.")
    routes: tuple[Route, ...] = Field(min_length=1, description="What each method and path does.")
