"""`upstreams` in the file: the services that stood behind the URLs before, each under a name that routes use."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from proxy.config.moment import read_moment
from proxy.config.section import Section
from proxy.config.values import Count, DelayMs, Milliseconds


def _origin(value: str) -> str:
    """`http://host:port` and nothing behind it: paths go through as clients send them."""
    example = "write for example http://legacy.internal:8000"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(f"{value!r} has no usable port: {example}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is no URL of a service: {example}")
    if parts.username is not None or port == 0:
        raise ValueError(f"{value!r} has credentials, or the port 0: {example}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{value!r} has a path, and paths go through as clients send them: {example}")
    if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", parts.hostname):
        raise ValueError(f"{value!r} has no usable host: {example}")
    return f"{parts.scheme}://{parts.netloc}"


def _one_or_more(value: object) -> object:
    return value if isinstance(value, (list, tuple)) else [value]


def _host(value: str) -> str:
    if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?", value):
        raise ValueError(f"{value!r} is no host: write preserve, upstream, or a name such as legacy.example.com")
    return value


def _path(value: str) -> str:
    if not re.fullmatch(r"/[!-~]*", value):
        raise ValueError(f"{value!r} is no path: write for example /healthz")
    return value


def _moment(value: str) -> str:
    if read_moment(value) is None:
        raise ValueError(f"is {value!r}, must be a time such as 2026-11-22T15:00:00Z")
    return value


def _link(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*:[!#-;=?-~]+|/[!#-;=?-~]*", value):
        raise ValueError(f"{value!r} is no URL: write for example https://docs.example.com/moving")
    return value


Moment = Annotated[str, AfterValidator(_moment)]
Link = Annotated[str, AfterValidator(_link)]
Origin = Annotated[str, AfterValidator(_origin)]
Origins = Annotated[tuple[Origin, ...], BeforeValidator(_one_or_more, json_schema_input_type=str | list[str])]
HostPolicy = Annotated[str, AfterValidator(_host)]
HealthPath = Annotated[str, AfterValidator(_path)]
Retries = Annotated[int, Field(ge=0, le=5)]


class Breaker(Section):
    failures: Count = Field(
        default=5, description="An address that failed so often, once after another, is left alone for a while."
    )
    open_ms: Milliseconds = Field(
        default=5_000, description="For so long; then one request tries it, and its outcome decides."
    )


class Health(Section):
    path: HealthPath = Field(description="Each address is asked for it by GET; 200 to 399 is healthy.")
    interval_ms: Milliseconds = Field(default=5_000, description="Time between two questions.")
    timeout_ms: Milliseconds = Field(default=2_000, description="Time for its answer.")
    healthy: Count = Field(default=2, description="So many good answers, and it gets requests again.")
    unhealthy: Count = Field(default=3, description="So many bad ones, and it gets none.")


class UpstreamTls(Section):
    ca: str | None = Field(
        default=None, description="PEM file of the authorities it is checked against; else those of the system."
    )
    certificate: str | None = Field(default=None, description="PEM file of the certificate the bridge shows it.")
    key: str | None = Field(default=None, description="PEM file of that certificate's private key, without a password.")
    server_name: str | None = Field(
        default=None, description="The name its certificate must have; else the host of its `url`."
    )


class UpstreamService(Section):
    url: Origins = Field(
        min_length=1, description="Where it is: http://host:port, or https; several for several addresses."
    )
    connect_timeout_ms: Milliseconds = Field(
        default=2_000, description="Time for a connection, and to wait for a free one; then 503."
    )
    timeout_ms: Milliseconds = Field(
        default=30_000, description="Time for its answer to begin once the request is sent; then 504."
    )
    idle_timeout_ms: Milliseconds = Field(
        default=60_000, description="Longest pause within a body, in either direction."
    )
    total_timeout_ms: Milliseconds | None = Field(
        default=None, description="Time for all of it, streams included; without it they may last."
    )
    keep_alive_ms: DelayMs = Field(
        default=4_000,
        description="An idle connection is kept so long: less than the service itself does. 0 keeps none.",
    )
    connections: Count = Field(default=512, description="Requests to it at one time, in each worker; others wait.")
    waiting: Count = Field(default=512, description="Requests that wait for a connection; beyond it 503.")
    host: HostPolicy = Field(
        default="preserve", description="Host it sees. preserve: the client's; upstream: that of `url`; else literally."
    )
    retries: Retries = Field(
        default=1, description="Further tries of what is safe to repeat: see docs/passthrough.md. 0 for none."
    )
    breaker: Breaker = Field(default=Breaker(), description="When an address is left alone.")
    health: Health | None = Field(
        default=None, description="Ask each address how it is; without it only requests tell."
    )
    tls: UpstreamTls | None = Field(default=None, description="For https: whom to trust, and what to show.")


class Deprecation(Section):
    since: Moment | None = Field(default=None, description="Since when it is deprecated: an ISO time (RFC 9745).")
    sunset: Moment | None = Field(default=None, description="When it may be gone: an ISO time (RFC 8594).")
    link: Link | None = Field(default=None, description="URL of a page that says what to do instead.")
