"""The configuration as it is used: frozen models whose attributes are the keys of the file.

Two keys are words Python or pydantic keep for themselves and carry an underscore: `consume.from_` and
`produce.schema_`. A default that depends on another key is filled in here, so that readers never ask twice:
a route always has its `name`, a consume its `from_` and, with a group, its `ack`.

What a single value may be is said here; what keys may stand together is said in `check.py`. Descriptions are
read by editors (`schema.py`) and by the test of `config/reference.yaml`.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from proxy.config.callers import AdminAuthSection, AuthSection, RouteAuthSection
from proxy.config.kafka_security import KafkaSecurity
from proxy.config.migration import Internal, Migrate
from proxy.config.moment import read_moment
from proxy.config.pattern import Pattern
from proxy.config.section import Section
from proxy.config.tls import ListenerTls, PeerTls
from proxy.config.upstreams import Deprecation, UpstreamService
from proxy.config.values import (
    Address,
    AnswerHeader,
    Bytes,
    CollectorUrl,
    Count,
    DelayMs,
    EventName,
    FilterField,
    FilterTests,
    GroupName,
    HeaderName,
    MediaType,
    Milliseconds,
    NumericTemplate,
    Origin,
    Port,
    RateText,
    RouteName,
    RouteText,
    Secrets,
    Servers,
    ServiceName,
    SessionTimeoutMs,
    Share,
    StartText,
    Status,
    Template,
    TopicName,
    Value,
    Workers,
)

LogLevel = Literal["debug", "info", "warning", "error"]


def _as_its_name(schema: dict[str, Any]) -> None:
    """In the file a schema is only its name."""
    title = schema["title"]
    schema.clear()
    schema |= {"title": title, "type": "string"}


class SchemaFile(BaseModel):
    """A JSON Schema as the loader read it. `file` is what the configuration says; `document` is checked."""

    model_config = ConfigDict(frozen=True, json_schema_extra=_as_its_name)

    file: str
    document: Any


# ---- sections


class Kafka(Section):
    bootstrap_servers: Servers = Field(description="Brokers to start from: host:port, several with a comma between.")
    session_timeout_ms: SessionTimeoutMs = Field(
        default=10_000,
        description="A group member not heard of for so long loses its partitions (brokers' minimum 6000).",
    )
    internal: Internal = Field(default=Internal(), description="The bridge's own topics.")
    security: KafkaSecurity = Field(default=KafkaSecurity(), description="TLS, and who the bridge is to the brokers.")


class Topics(Section):
    create: bool = Field(
        default=False, description="Make a topic that a route names and Kafka lacks; else it is refused."
    )


class Server(Section):
    host: str = Field(default="127.0.0.1", description="Address to listen on; any other than loopback needs `auth`.")
    port: Port = Field(default=8080, description="Port of the configured routes; 0 takes a free one.")
    workers: Workers = Field(
        default=1, description="Processes that share the port; from two on, groups need `peer`. Limits hold for each."
    )
    tls: ListenerTls | None = Field(default=None, description="HTTPS instead of plain HTTP.")


class Peer(Section):
    listen: Address = Field(description="Where workers of other processes connect: host:port; worker i at port + i.")
    advertise: Address | None = Field(
        default=None, description="The same as others reach it; needed where `listen` is 0.0.0.0 or [::]."
    )
    secret: Secrets = Field(
        min_length=1,
        max_length=2,
        description="Shows peers that they belong together; of two the first is shown and both are taken.",
    )

    tls: PeerTls | None = Field(default=None, description="Peers also show certificates, and are not overheard.")

    def listens_at(self, worker: int) -> tuple[str, int]:
        """Host (an IPv6 one without brackets) and port of this worker's listener."""
        host, port = split_address(self.listen)
        return host, port + worker

    def advertised_by(self, worker: int) -> str:
        """The `host:port` under which others reach this worker."""
        host, _, port = (self.advertise or self.listen).rpartition(":")
        return f"{host}:{int(port) + worker}"


def split_address(address: str) -> tuple[str, int]:
    """Host, without an IPv6 one's brackets, and port of a `host:port`."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


class Admin(Section):
    host: str = Field(
        default="127.0.0.1", description="Address of the admin side; any other than loopback needs `auth`."
    )
    port: Port = Field(default=9090, description="Port of health, metrics and control; 0 takes a free one.")
    tls: ListenerTls | None = Field(default=None, description="HTTPS instead of plain HTTP.")
    auth: AdminAuthSection = Field(
        default=None, description="Who operators are. none: anyone who gets there; must be written out beyond loopback."
    )


class Rates(Section):
    total: RateText | None = Field(
        default=None, description="Requests of all clients together: 1000/s, 6000/min, 100/s burst 500."
    )
    client: RateText | None = Field(default=None, description="Requests of each client.")
    by: Template | None = Field(
        default=None, description="Template of what a client is; without it, or the field it names, its address."
    )
    clients: Count = Field(
        default=10_000, description="Clients counted at one time; beyond it a new one is held by `total` alone."
    )


class Limits(Section):
    max_body_bytes: Bytes = Field(default=1_048_576, description="Largest request body; beyond it 413.")
    max_header_bytes: Bytes = Field(
        default=65_536, description="Largest request head (line and headers); beyond it 431."
    )
    header_timeout_ms: Milliseconds = Field(
        default=10_000, description="Time for a request's head to arrive; then 408."
    )
    body_timeout_ms: Milliseconds = Field(default=30_000, description="Longest pause within a body; then 408.")
    in_flight: Count = Field(default=1_024, description="Produce requests at one time; beyond it 503.")
    in_flight_bytes: Bytes = Field(default=67_108_864, description="Their bodies together; beyond it 503.")
    streams: Count = Field(default=10_000, description="Open streams and waiting polls; beyond it 503.")
    stream_bytes: Bytes = Field(
        default=1_048_576,
        description="Records that a stream or page takes at one time, about: what a client holds who does not read.",
    )
    rate: Rates | None = Field(default=None, description="How often requests may come, over all routes; beyond it 429.")


class Drain(Section):
    delay_ms: DelayMs = Field(
        default=5_000,
        description="After SIGTERM: unready, but still accepting, so that load balancers look away first.",
    )
    timeout_ms: Milliseconds = Field(
        default=30_000, description="Then at most this long for requests, queues and groups."
    )


class Tracing(Section):
    endpoint: CollectorUrl = Field(
        description="OpenTelemetry collector that takes OTLP over HTTP; without a path /v1/traces."
    )
    sample: Share = Field(
        default="1%", description="Share of the traces that begin here; a request that brings a trace decides itself."
    )
    service_name: ServiceName = Field(default="stepbridge", description="The service's name in its spans.")


class AccessLog(Section):
    sample: Share = Field(default="1%", description="Share of the requests that get a line.")
    slow_ms: Milliseconds = Field(
        default=1_000, description="Those that took so long get one too, and those that went wrong."
    )


class Observe(Section):
    log_level: LogLevel = Field(default="info", description="The least that is logged: debug, info, warning or error.")
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto: text on a terminal, else JSON. Also json, text."
    )
    access_log: AccessLog | None = Field(default=None, description="Lines of requests; without it there are none.")
    tracing: Tracing | None = Field(
        default=None, description="Spans to an OpenTelemetry collector; needs `pip install stepbridge[tracing]`."
    )


# ---- routes


class Produce(Section):
    topic: TopicName = Field(description="Topic the record is written to.")
    key: Template | None = Field(default=None, description="Template of the key; without it the record has none.")
    headers: dict[HeaderName, Template] = Field(default={}, description="Record headers: a template each.")
    partition: NumericTemplate | None = Field(
        default=None, description="Template of the partition; else the key decides."
    )
    timestamp: NumericTemplate | None = Field(
        default=None, description="Template of the time: milliseconds since the epoch, or ISO 8601; else now."
    )
    value: Value = Field(
        default="{body}", description="{body}: the body's bytes exactly. null, on a DELETE route: a tombstone."
    )
    schema_: SchemaFile | None = Field(
        default=None, alias="schema", description="JSON Schema file that bodies must fit, relative to this file."
    )
    content_types: tuple[MediaType, ...] = Field(default=(), description="Media types taken; others get 415.")
    batch: bool = Field(
        default=False,
        description="A JSON array, or NDJSON, is many records; max_body_bytes is of the array, or of a line.",
    )
    timeout_ms: Milliseconds = Field(default=10_000, description="Time for all in-sync replicas to have the record.")
    on_outage: Literal["reject"] = Field(
        default="reject", description="While Kafka is away: reject, which is 503, nothing is written."
    )
    partitioner: Literal["murmur2", "consistent_random"] = Field(
        default="murmur2", description="murmur2 as Java's clients; consistent_random as librdkafka's."
    )


class Consume(Section):
    topics: tuple[TopicName, ...] = Field(min_length=1, description="Topics that are read together.")
    group: GroupName | None = Field(default=None, description="Consumer group: each record goes to one client of it.")
    ack: Literal["explicit", "auto"] | None = Field(
        default=None, description="With a group: explicit (leases until accepted, by POST to the path + /ack) or auto."
    )
    lease_ms: Milliseconds = Field(
        default=30_000, description="With a group: a record handed out and not accepted comes again then."
    )
    max_deliveries: Count | None = Field(
        default=None, description="With a group: a record handed out so often, and not accepted, is a dead letter then."
    )
    dead_letter: TopicName | None = Field(
        default=None, description="With a group: topic for what is rejected, or was handed out too often."
    )
    order: Literal["none", "key", "partition"] = Field(
        default="none", description="With a group: key: one record of a key is out at a time; partition: one lease."
    )
    max_in_flight: Count | None = Field(
        default=None, description="With a group: records of one partition that are out at a time."
    )
    commit: Literal["each", "interval"] = Field(
        default="each",
        description="With explicit acks: each: an ack is answered after its commit. interval: at once.",
    )
    shape: Literal["envelope", "values"] = Field(
        default="envelope", description="envelope: whole records. values: their bare values."
    )
    from_: StartText = Field(
        default="latest", alias="from", description="Where a first reader begins: earliest, latest, or an ISO time."
    )
    allow_from: bool = Field(default=False, description="Without a group: clients may say ?from= where they begin.")
    filter: dict[FilterField, FilterTests] | None = Field(
        default=None, min_length=1, description="Without a group: clients are shown only records that are like this."
    )
    heartbeat_ms: Milliseconds = Field(default=15_000, description="A comment after so long a silence on a stream.")
    heartbeat_event: EventName | None = Field(
        default=None, description="An SSE event of that name instead of the comment: browsers' programs see it."
    )
    retry_ms: Milliseconds = Field(
        default=2_000, description="After how long SSE clients come back when they have lost a stream."
    )
    lifetime_ms: Milliseconds | None = Field(
        default=None, description="A stream ends after so long, 10 % more or less; its client comes back."
    )
    closed: bool = Field(
        default=False, description="Retired: streams end, SSE is answered 204 (stop), everything else 410."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("group") is not None:
            start = {} if "from_" in data else {"from": "earliest"}
            return {"ack": "explicit", **start, **data}
        return data

    @property
    def start(self) -> Literal["earliest", "latest"] | int:
        """`from_`, with a time as milliseconds since the epoch."""
        match self.from_:
            case "earliest" | "latest" as said:
                return said
        since_ms = read_moment(self.from_)
        assert since_ms is not None, "it was checked when it was read"
        return since_ms


class Response(Section):
    status: Status = Field(default=201, description="Status once the record is written: 200 to 399.")
    headers: dict[AnswerHeader, Template] = Field(default={}, description="Answer headers: a template each.")
    body: Any = Field(default=None, description="JSON whose strings are templates, or one text; without it no body.")


class RouteLimits(Section):
    max_body_bytes: Bytes | None = Field(default=None, description="This route's largest body; else the common limit.")
    in_flight: Count | None = Field(
        default=None, description="This route's requests at one time; else the common limit."
    )
    in_flight_bytes: Bytes | None = Field(default=None, description="Their bodies together; else the common limit.")
    rate: Rates | None = Field(default=None, description="How often its requests may come, beside the common rate.")


class Cors(Section):
    origins: tuple[Origin, ...] = Field(
        min_length=1, description='Origins whose pages may call the route: https://shop.example.com; "*" is any.'
    )
    headers: tuple[AnswerHeader, ...] = Field(
        default=(), description="Request headers they may send beside Content-Type, Last-Event-ID and Prefer."
    )
    credentials: bool = Field(default=False, description="Whether they may send cookies and HTTP authentication.")
    max_age_ms: DelayMs = Field(default=600_000, description="How long browsers may keep what they were told of it.")


class Route(Section):
    route: RouteText = Field(description="Method and path: POST /stores/{store}/stock.")
    name: RouteName = Field(default="", description="Its id in metrics and logs.")
    produce: Produce | None = Field(default=None, description="Write each request as one record.")
    consume: Consume | None = Field(default=None, description="Read records: long poll, SSE or NDJSON.")
    migrate: Migrate | None = Field(default=None, description="Move it from its upstream to Kafka, by stages, or back.")
    upstream: str | None = Field(default=None, description="Pass each request on to this service of `upstreams`.")
    response: Response | None = Field(default=None, description="What clients get once the record is written.")
    limits: RouteLimits = Field(default=RouteLimits(), description="This route's own limits.")
    cors: Cors | None = Field(default=None, description="Which other origins' pages may call it; else none.")
    auth: RouteAuthSection = Field(
        default=None, description="What callers need: none, any (who is known), or rights. Required beside `auth`."
    )
    deprecation: Deprecation | None = Field(default=None, description="Tell its clients that it will go.")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("route"), str):
            return {"name": default_name(data["route"]), **data}
        return data

    @property
    def pattern(self) -> Pattern:
        """Its method and path, read."""
        return Pattern.parse(self.route)

    @property
    def method(self) -> str:
        """The method in upper case, or `*` for any."""
        return self.pattern.method

    @property
    def path(self) -> str:
        """The path pattern: /stores/{store}/stock."""
        return self.pattern.path

    @property
    def doors(self) -> tuple[Pattern, ...]:
        """What its clients call: its own method and path, and where they POST their acks, if there is any."""
        acks = self.pattern.acks if self.consume and self.consume.ack == "explicit" else None
        return (self.pattern, acks) if acks else (self.pattern,)

    @property
    def ack_path(self) -> str | None:
        """Where its clients POST their acks; None where there is nothing to accept."""
        return self.doors[1].path if len(self.doors) > 1 else None


def default_name(route: str) -> str:
    """`POST /stores/{store}/stock` is named post-stores-store-stock."""
    words: list[str] = re.findall(r"[a-z0-9_]+", route.lower())
    return "-".join(["any", *words] if route.startswith("*") else words)


class Config(Section):
    kafka: Kafka = Field(description="The cluster.")
    topics: Topics = Field(default=Topics(), description="What may happen to topics.")
    auth: AuthSection = Field(
        default=None,
        description="Who callers are. none: they are not told apart, which must be written out beyond loopback.",
    )
    server: Server = Field(default=Server(), description="Where clients come in.")
    admin: Admin = Field(default=Admin(), description="Where operators come in.")
    peer: Peer | None = Field(default=None, description="How workers, of this and other hosts, reach each other.")
    secret: Secrets = Field(
        default=(), max_length=2, description="Signs leases and positions; of two the first signs and both are taken."
    )
    limits: Limits = Field(default=Limits(), description="Bounds for all routes together.")
    drain: Drain = Field(default=Drain(), description="How the bridge stops.")
    observe: Observe = Field(default=Observe(), description="Logs and traces.")
    upstreams: dict[RouteName, UpstreamService] = Field(
        default={}, description="Services that routes pass requests on to."
    )
    routes: tuple[Route, ...] = Field(min_length=1, description="What each method and path does.")

    def logging_from(self, level: LogLevel) -> "Config":
        """The same, but for its log's level."""
        return self.model_copy(update={"observe": self.observe.model_copy(update={"log_level": level})})

    def reloaded(self, new: "Config") -> "Config":
        """What is in force in a bridge that was started with this and is told `new`: RESTART_NEEDED stays as it was,
        but for who operators are, and for what new connections show: certificates where there are some already,
        credentials in Kafka."""
        kept = {section: getattr(self, section) for section in RESTART_NEEDED}
        kept["admin"] = self.admin.model_copy(update={"auth": new.admin.auth})
        for name, its in (("server", new.server), ("admin", new.admin), ("peer", new.peer)):
            if kept[name] and its and kept[name].tls and its.tls:
                kept[name] = kept[name].model_copy(update={"tls": its.tls})
        if self.kafka.security.takes_over(new.kafka.security):
            kept["kafka"] = self.kafka.model_copy(update={"security": new.kafka.security})
        return new.model_copy(update=kept)


RESTART_NEEDED = ("kafka", "server", "admin", "peer", "secret", "topics")  # sections that a reload leaves alone
