"""Every way a request can be refused, with its status and its stable code.

The code is part of the API: clients switch on it, people read `detail`. One front renders these
(`http/problem.py`, RFC 9457); nothing else spells out an error response. `docs/answers.md` tells
clients what to do with each.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ProxyError(Exception):
    """A refusal or failure that a client is told about.

    `detail` says what happened, where, and what to do. `errors` lists `{"pointer", "detail"}`, one for each
    mistake in a body. `extra` holds further members of the problem document (RFC 9457, 3.2).
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "The bridge failed"

    def __init__(
        self,
        detail: str,
        *,
        retry_after_s: int | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.errors = errors
        self.headers = headers
        self.extra = extra or {}

    @property
    def told(self) -> str:
        """What the client is told of `detail`."""
        return self.detail

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status} {self.code}: {self.detail}>"


# ---- the request itself: nothing was written, and a repeat of the same request changes nothing


class Malformed(ProxyError):
    status, code, title = 400, "malformed_request", "The request cannot be read"


class NotJson(Malformed):
    code, title = "not_json", "The body is not JSON"


class BadForm(Malformed):
    code, title = "bad_form", "The body is not a form"


class BadEncoding(Malformed):
    code, title = "bad_encoding", "The body is not compressed as it says"


class BadToken(Malformed):
    """A lease or position that was never issued by a bridge: damaged, cut off, or made up."""

    code, title = "bad_token", "The lease or position cannot be read"


class Unauthenticated(ProxyError):
    """Nothing says who the caller is, where the route asks. `headers` has WWW-Authenticate for each scheme it takes.

    `why` is for the audit log.
    """

    status, code, title = 401, "unauthenticated", "The caller must say who it is"
    why: str = ""


class CredentialsRefused(Unauthenticated):
    """The client is not told why: the log is."""

    code, title = "credentials_refused", "The credentials are not accepted"


class TokenExpired(Unauthenticated):
    """It was good, and the client can have a new one: that much it is told."""

    code, title = "token_expired", "The token has expired"


class AmbiguousPath(Malformed):
    """Two readers would take it for two paths, and one of them for what it may not reach."""

    code, title = "ambiguous_path", "The path can be read in two ways"


class NoRoute(ProxyError):
    status, code, title = 404, "no_route", "No route has this path"


class MethodNotAllowed(ProxyError):
    status, code, title = 405, "method_not_allowed", "No route takes this method here"


class NotAcceptable(ProxyError):
    status, code, title = 406, "not_acceptable", "None of the accepted media types can be served"


class TooLarge(ProxyError):
    status, code, title = 413, "too_large", "The body is too large"


class RecordTooLarge(TooLarge):
    code, title = "record_too_large", "The record is larger than its topic takes"


class TooManyItems(TooLarge):
    code, title = "too_many_items", "The array has too many items"


class ExpandsTooMuch(TooLarge):
    code, title = "expands_too_much", "The body is compressed beyond what is taken"


class UnsupportedMediaType(ProxyError):
    status, code, title = 415, "unsupported_media_type", "The route does not take this content type"


class UnsupportedEncoding(UnsupportedMediaType):
    code, title = "unsupported_encoding", "The body is compressed in a way that is not taken"


class Unprocessable(ProxyError):
    status, code, title = 422, "unprocessable", "The request does not make a record"


class FieldMissing(Unprocessable):
    code, title = "field_missing", "A field that the route needs is missing"


class FieldInvalid(Unprocessable):
    code, title = "field_invalid", "A field cannot be used where the route needs it"


class SchemaViolation(Unprocessable):
    code, title = "schema_violation", "The body does not fit the route's schema"


class KeyRequired(Unprocessable):
    code, title = "key_required", "The topic is compacted, and the record has no key"


class EmptyBatch(Unprocessable):
    code, title = "empty_batch", "The batch has no records"


class HeadersTooLarge(ProxyError):
    status, code, title = 431, "headers_too_large", "The request's head is too large"


class HeaderTimeout(ProxyError):
    status, code, title = 408, "header_timeout", "The request's head did not arrive in time"


class BodyTimeout(ProxyError):
    status, code, title = 408, "body_timeout", "The request's body did not go on in time"


# ---- not now: nothing was written, and a repeat later may succeed


class NotNow(ProxyError):
    """`limit` names the bound that was met, in the words of the metrics; "" if it was none."""

    status, code, title = 503, "unavailable", "Not now"

    def __init__(self, detail: str, *, retry_after_s: int | None = 1, limit: str = "", **rest: Any) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **rest)
        self.limit = limit
        if limit:
            self.extra = {**self.extra, "limit": limit}


class NotWritten(NotNow):
    """The record did not leave the bridge: nothing was or will be written."""

    code, title = "not_written", "The record was not written"


class RefusedByKafka(NotWritten):
    """Kafka looked at it, and would not have it now."""


class KafkaAway(NotNow):
    code, title = "kafka_unavailable", "Kafka cannot be reached"


class TopicMissing(NotNow):
    code, title = "topic_missing", "The topic does not exist"


class TooManyPartitions(NotNow):
    code, title = "too_many_partitions", "The topics have too many partitions for this kind of route"


class KafkaForbids(NotNow):
    """The bridge lacks a right in Kafka. `detail` names it, to the operator; the client is not told."""

    code, title = "kafka_forbids", "The bridge may not do this in Kafka"

    @property
    def told(self) -> str:
        """What there is in the cluster, and who may do what there, is not the client's business."""
        return "The bridge lacks a right in Kafka, which its log and its admin side name. Nothing was written."


class Overloaded(NotNow):
    code, title = "overloaded", "Too much is in flight"


class RateLimited(NotNow):
    status, code, title = 429, "rate_limited", "Too many requests"


class TooManyStreams(NotNow):
    code, title = "too_many_streams", "Too many streams are open"


class Draining(NotNow):
    code, title = "draining", "The bridge is shutting down"


class PeerAway(NotNow):
    """Another worker, which has the partition, cannot be reached. `is_sent`: it may have heard what it was told."""

    code, title = "peer_unavailable", "Another worker cannot be reached"

    def __init__(self, detail: str, *, is_sent: bool = False) -> None:
        super().__init__(detail)
        self.is_sent = is_sent


# ---- the service behind a route: whether it may have acted is what decides about a repeat


class UpstreamError(ProxyError):
    """An upstream did not answer as it should. `may_have_acted`: the request, or part of it, was sent."""

    may_have_acted: ClassVar[bool] = True
    status, code, title = 502, "upstream_failed", "The service behind this route failed"


class UpstreamFailed(UpstreamError):
    """It broke off, or what it sent is no HTTP answer."""


class UpstreamTimeout(UpstreamError):
    status, code, title = 504, "upstream_timeout", "The service behind this route did not answer in time"


class UpstreamAway(UpstreamError, NotNow):
    """None of its addresses could be connected to: nothing was sent."""

    may_have_acted = False
    status, code, title = 503, "upstream_unavailable", "The service behind this route cannot be reached"


class CircuitOpen(UpstreamAway):
    """It failed so often that it is left alone for a while."""

    code, title = "upstream_circuit_open", "The service behind this route is left alone after failures"


class UpstreamBusy(UpstreamAway):
    """All connections to it are in use, and none became free in time, or too many wait already."""

    code, title = "upstream_busy", "All connections to the service behind this route are in use"


class NotPassedOn(ProxyError):
    """What a bridge of requests and answers cannot carry: CONNECT, TRACE, upgrades such as WebSocket."""

    status, code, title = 501, "not_passed_on", "This kind of request is not passed on"


class StageChanging(NotNow):
    code, title = "stage_changing", "The route is changing the stage of its migration"


class StageUnknown(NotNow):
    """The process has just started, and cannot read the control topic."""

    code, title = "stage_unknown", "The stage of the route's migration is not known yet"


class IssuerAway(NotNow):
    """A token cannot be judged, since its issuer's keys have never been fetched, or too long ago."""

    code, title = "issuer_unavailable", "Tokens cannot be checked now"


# ---- unknown: it may be written, even later


class OutcomeUnknown(ProxyError):
    """Kafka has the record but gave no answer in time: it may be in the topic, or appear there later."""

    status, code, title = 504, "outcome_unknown", "It is not known whether the record was written"


# ---- reading


class Forbidden(ProxyError):
    status, code, title = 403, "forbidden", "Not for this request"


class RightMissing(Forbidden):
    """The caller is known, and may not do this."""

    code, title = "right_missing", "The caller may not do this"


class ForgedToken(Forbidden):
    """The signature fits none of the bridge's secrets (a restart without a configured `secret` looks the same)."""

    code, title = "token_not_ours", "The lease or position was not signed by this bridge"


class ForeignToken(Forbidden):
    code, title = "token_of_another_route", "The lease or position belongs to another route"


class Conflict(ProxyError):
    status, code, title = 409, "conflict", "The state has moved on"


class LeaseExpired(Conflict):
    """What it held has been, or will be, handed out again. Poll again; do not repeat the ack."""

    code, title = "lease_expired", "The lease has expired"


class LeaseMoved(Conflict):
    """Its partition now belongs to another member. Poll again; what was not accepted comes again."""

    code, title = "lease_moved", "The lease's partition has moved"


class Gone(ProxyError):
    """A position points at records that are no longer (or not yet) in the log. `extra` has the range lost."""

    status, code, title = 410, "position_gone", "The position is no longer in the log"


class RouteClosed(ProxyError):
    """For good. An EventSource is answered 204 instead, which it takes for that."""

    status, code, title = 410, "route_closed", "The route is retired"
