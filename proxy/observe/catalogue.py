"""Every metric of the bridge, in one table. `docs/metrics.md` is generated from it, and a test compares the two.

Label values come from the configuration or from tables of ours (statuses, outcomes, error names), never from a
request, so the number of series is bounded by the configuration. The process's own metrics (`process_*`) are
prometheus_client's.
"""

import sys
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


class Merge(StrEnum):
    """What several workers' values of one gauge are together. (Counters and histograms add up.)"""

    SUM = "sum"
    MAX = "max"
    MIN = "min"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its full name (as it is queried), the names of its labels, and what it tells."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    unit: str = ""
    merge: Merge = Merge.SUM

    @property
    def stem(self) -> str:
        """The name without its type's ending, as OpenMetrics declares it."""
        return self.name.removesuffix("_total").removesuffix("_info")


# Upper bounds of the histograms in seconds. A produce to a healthy cluster takes a few milliseconds, one that waits
# for replicas up to its timeout (10 s by default), a long poll at most 60 s.
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_ROUTE = ("route",)
_PARTITION = ("group", "topic", "partition")
_RECORDS = ("route", "direction", "outcome")

FAMILIES = (
    # requests
    Family("stepbridge_requests_total", Kind.COUNTER, ("route", "status"), "Requests answered, by HTTP status."),
    Family(
        "stepbridge_request_seconds",
        Kind.HISTOGRAM,
        _ROUTE,
        "Time from a request's head to the beginning of its answer.",
        "seconds",
    ),
    Family("stepbridge_requests_in_flight", Kind.GAUGE, _ROUTE, "Requests being worked on, waiting polls included."),
    Family(
        "stepbridge_limited_total",
        Kind.COUNTER,
        ("route", "limit"),
        "Requests refused at a limit, and which: `in_flight`, `in_flight_bytes`, `streams`, `rate` and `client_rate` "
        "for those of all routes, with `route_` before it for a route's own.",
    ),
    Family(
        "stepbridge_rate_clients",
        Kind.GAUGE,
        ("route", "limit"),
        "Clients that a rate remembers. Route `(all)`: the rate of all routes.",
    ),
    Family(
        "stepbridge_rate_uncounted_total",
        Kind.COUNTER,
        ("route", "limit"),
        "Requests that a rate let through uncounted, since it remembered as many clients as it may.",
    ),
    Family("stepbridge_open_streams", Kind.GAUGE, _ROUTE, "SSE and NDJSON streams that are open."),
    # records
    Family(
        "stepbridge_records_total",
        Kind.COUNTER,
        _RECORDS,
        "Records taken in (`in`: written, not_written, unknown, refused) and handed out (`out`: delivered).",
    ),
    Family("stepbridge_bytes_total", Kind.COUNTER, _RECORDS, "Bytes of the values of those records.", "bytes"),
    Family(
        "stepbridge_produce_seconds",
        Kind.HISTOGRAM,
        ("route", "outcome"),
        "Time from queueing a record until Kafka's answer, or until the deadline.",
        "seconds",
    ),
    Family("stepbridge_produce_queue_records", Kind.GAUGE, ("topic",), "Records queued and not yet handed to Kafka."),
    Family("stepbridge_produce_queue_bytes", Kind.GAUGE, ("topic",), "Bytes of those records.", "bytes"),
    Family("stepbridge_batches_in_flight", Kind.GAUGE, ("topic",), "Batches with Kafka; at most one a partition."),
    # reading
    Family(
        "stepbridge_group_lag_records",
        Kind.GAUGE,
        _PARTITION,
        "Records between the group's commit and the end of the log, for the partitions owned here.",
        merge=Merge.MAX,  # while a partition moves, two workers may tell of it
    ),
    Family("stepbridge_group_leases_out", Kind.GAUGE, ("group",), "Records handed out and not yet accepted."),
    Family("stepbridge_group_waiting", Kind.GAUGE, ("group",), "Polls and streams that wait for records."),
    Family(
        "stepbridge_group_redeliveries_total",
        Kind.COUNTER,
        ("group",),
        "Records handed out again after a release or an expired lease.",
    ),
    Family("stepbridge_group_rejected_total", Kind.COUNTER, ("group",), "Records that readers rejected."),
    Family(
        "stepbridge_group_discarded_total",
        Kind.COUNTER,
        ("group",),
        "Rejected records that were kept nowhere, since the route has no `dead_letter`.",
    ),
    Family(
        "stepbridge_group_dead_letters_total",
        Kind.COUNTER,
        ("group", "reason"),
        "Dead letters written, of records that were rejected or handed out too often.",
    ),
    Family(
        "stepbridge_group_dead_waiting",
        Kind.GAUGE,
        ("group",),
        "Records whose dead letters are not written yet: they hold the group's commit back.",
    ),
    Family(
        "stepbridge_group_renewed_total", Kind.COUNTER, ("group",), "Records whose leases readers renewed, each time."
    ),
    Family(
        "stepbridge_group_partition_leases_out",
        Kind.GAUGE,
        _PARTITION,
        "Records handed out and not yet accepted, for the partitions owned here.",
        merge=Merge.MAX,
    ),
    Family(
        "stepbridge_group_partition_oldest_lease_seconds",
        Kind.GAUGE,
        _PARTITION,
        "Age of the lease that has been running for the longest time; 0 while there is none.",
        "seconds",
        merge=Merge.MAX,
    ),
    Family(
        "stepbridge_group_partition_holes",
        Kind.GAUGE,
        _PARTITION,
        "Ranges accepted above the group's commit; at 700 nothing new is handed out.",
        merge=Merge.MAX,
    ),
    Family(
        "stepbridge_group_partition_open_records",
        Kind.GAUGE,
        _PARTITION,
        "Records in memory: handed out, or waiting to be.",
        merge=Merge.MAX,
    ),
    # peers, where there are any
    Family("stepbridge_peers_connected", Kind.GAUGE, (), "Other workers that this one calls, and is connected to."),
    Family(
        "stepbridge_peers_refused_total",
        Kind.COUNTER,
        (),
        "Connections to the peer port that did not know the secret, or were broken off before they showed it.",
    ),
    # upstreams
    Family(
        "stepbridge_upstream_requests_total",
        Kind.COUNTER,
        ("upstream", "outcome"),
        "Requests to an upstream by their end: `answered`, `broken_off` after the answer had begun, `abandoned` by the "
        "client, or the code it was told (`upstream_unavailable`, …).",
    ),
    Family(
        "stepbridge_upstream_retries_total",
        Kind.COUNTER,
        ("upstream", "reason"),
        "Requests that went once more, by the code of what came of them before.",
    ),
    Family(
        "stepbridge_upstream_first_byte_seconds",
        Kind.HISTOGRAM,
        ("upstream",),
        "Time from taking a request on until the head of its answer, tries and the wait for a connection included.",
        "seconds",
    ),
    Family("stepbridge_upstream_connections", Kind.GAUGE, ("upstream", "address"), "Connections in use by requests."),
    Family("stepbridge_upstream_waiting", Kind.GAUGE, ("upstream",), "Requests that wait for a connection."),
    Family(
        "stepbridge_upstream_address_up",
        Kind.GAUGE,
        ("upstream", "address"),
        "1 while the address gets requests (healthy, and its breaker closed) from every worker, else 0.",
        merge=Merge.MIN,
    ),
    Family(
        "stepbridge_upstream_breaker_open",
        Kind.GAUGE,
        ("upstream", "address"),
        "1 while a worker's breaker leaves the address alone (open, or half-open), else 0.",
        merge=Merge.MAX,
    ),
    Family(
        "stepbridge_upstream_breaker_opened_total",
        Kind.COUNTER,
        ("upstream", "address"),
        "How often its breaker has opened.",
    ),
    # routes on their way
    Family(
        "stepbridge_shadow_queued",
        Kind.GAUGE,
        ("route",),
        "Records of the shadow that wait for Kafka.",
        merge=Merge.SUM,
    ),
    Family(
        "stepbridge_shadow_queue_limit",
        Kind.GAUGE,
        ("route",),
        "How many may: beyond it each one is lost.",
        merge=Merge.SUM,
    ),
    Family(
        "stepbridge_shadow_unknown",
        Kind.GAUGE,
        ("route",),
        "Records of the shadow, about, that processes held which have vanished, as far as this one has seen it.",
        merge=Merge.MAX,
    ),
    Family(
        "stepbridge_dual_writes_total",
        Kind.COUNTER,
        ("route", "case"),
        "Requests at dual, by what became of them at both sides (docs/migrating.md).",
    ),
    Family(
        "stepbridge_divergences_waiting",
        Kind.GAUGE,
        (),
        "Divergences that wait to be written to their topic.",
        merge=Merge.SUM,
    ),
    Family(
        "stepbridge_divergences_lost_total",
        Kind.COUNTER,
        (),
        "Divergences that could not be written to their topic; the log has them.",
    ),
    Family(
        "stepbridge_replay_running",
        Kind.GAUGE,
        ("route",),
        "1 while a replay to the service behind the route runs, in whichever process.",
        merge=Merge.MAX,
    ),
    Family(
        "stepbridge_replay_sent_total",
        Kind.COUNTER,
        ("route",),
        "Records that replays have sent to the service behind the route.",
    ),
    Family(
        "stepbridge_replay_refused_total",
        Kind.COUNTER,
        ("route",),
        "Records that replays passed over, since the service refused them.",
    ),
    # Kafka and the process
    Family(
        "stepbridge_kafka_up", Kind.GAUGE, (), "1 while the cluster answers (every worker), else 0.", merge=Merge.MIN
    ),
    Family(
        "stepbridge_kafka_errors_total",
        Kind.COUNTER,
        ("operation", "error"),
        "Errors of the Kafka client, by what was being done and the error's name.",
    ),
    Family(
        "stepbridge_producers_replaced_total",
        Kind.COUNTER,
        (),
        "Producers replaced, since one had died or its sequence was broken; none while Kafka is merely away.",
    ),
    Family(
        "stepbridge_ready",
        Kind.GAUGE,
        (),
        "1 from the moment the listeners serve until drain begins, else 0.",
        merge=Merge.MAX,
    ),
    Family(
        "stepbridge_certificate_valid_from_timestamp_seconds",
        Kind.GAUGE,
        ("section",),
        "Since when the certificate is valid that new connections are shown.",
        "seconds",
        Merge.MIN,
    ),
    Family(
        "stepbridge_certificate_expires_timestamp_seconds",
        Kind.GAUGE,
        ("section",),
        "When it expires, or one above it in its file that does so before; `section`: where the file names it.",
        "seconds",
        Merge.MIN,
    ),
    Family(
        "stepbridge_event_loop_lag_seconds",
        Kind.HISTOGRAM,
        (),
        "How late a timer of the event loop fires, measured twice a second.",
        "seconds",
    ),
    # logs and traces, where they are asked for
    Family(
        "stepbridge_access_lines_total",
        Kind.COUNTER,
        ("outcome",),
        "Lines of the access log: `written`, or `dropped` since too many came at once.",
    ),
    Family(
        "stepbridge_spans_total",
        Kind.COUNTER,
        ("outcome",),
        "Spans of sampled requests: `exported`, `failed` (the collector did not take them), or `dropped` since too "
        "many waited.",
    ),
    Family(
        "stepbridge_build_info",
        Kind.INFO,
        ("version", "python"),
        "1; the labels say what is running.",
        merge=Merge.MAX,
    ),
    # callers, where they are told apart
    Family(
        "stepbridge_auth_total",
        Kind.COUNTER,
        ("scheme", "outcome"),
        "Requests to routes that ask for callers, by what was shown and what became of it (docs/auth.md).",
    ),
    Family(
        "stepbridge_caller_requests_total",
        Kind.COUNTER,
        ("caller",),
        "Requests let in, by caller; those with tokens by their issuer, those with certificates together.",
    ),
    Family(
        "stepbridge_audit_left_out_total",
        Kind.COUNTER,
        (),
        "Denials that are not in the audit log, since there were too many at one time.",
    ),
    Family(
        "stepbridge_issuer_fetches_total",
        Kind.COUNTER,
        ("issuer", "outcome"),
        "Attempts to fetch an issuer's keys: fetched or failed.",
    ),
    Family(
        "stepbridge_issuer_keys_age_seconds",
        Kind.GAUGE,
        ("issuer",),
        "Since the keys in force were fetched; of several workers the oldest.",
        "seconds",
        merge=Merge.MAX,
    ),
    # routes on their way from an upstream to Kafka
    Family(
        "stepbridge_stage_share",
        Kind.GAUGE,
        ("route", "stage"),
        "Share of the route's keys that are at the stage, 0 to 1; of workers that differ the larger.",
        merge=Merge.MAX,
    ),
    Family(
        "stepbridge_stage_epoch",
        Kind.GAUGE,
        _ROUTE,
        "Number of the last change of the route's stage, in force or abandoned; of workers that differ the smaller.",
        merge=Merge.MIN,
    ),
    Family("stepbridge_stage_held", Kind.GAUGE, _ROUTE, "Requests that wait while their key's stage is being changed."),
    Family(
        "stepbridge_stage_changes_total",
        Kind.COUNTER,
        ("route", "result"),
        "Changes of stage that were asked for here, by `activated` or the code of what became of them.",
    ),
    Family(
        "stepbridge_control_fresh",
        Kind.GAUGE,
        (),
        "1 while the control topic is read; 0 while stages are kept that others may have changed.",
        merge=Merge.MIN,
    ),
    Family(
        "stepbridge_control_age_seconds",
        Kind.GAUGE,
        (),
        "How old what is known of the control topic is at most; of several workers the oldest.",
        "seconds",
        merge=Merge.MAX,
    ),
    Family(
        "stepbridge_control_replicas",
        Kind.GAUGE,
        (),
        "Replicas, each worker for itself, that a change would wait for; of workers that differ the fewest.",
        merge=Merge.MIN,
    ),
    # workers, where there are several
    Family("stepbridge_workers", Kind.GAUGE, (), "Workers that are configured."),
    Family("stepbridge_workers_up", Kind.GAUGE, (), "Workers that serve and answered this scrape within a second."),
    Family("stepbridge_worker_restarts_total", Kind.COUNTER, (), "Workers started again after one had died."),
    Family(
        "stepbridge_worker_cpu_seconds_total",
        Kind.COUNTER,
        ("worker",),
        "CPU time of each worker's processes.",
        "seconds",
    ),
    Family(
        "stepbridge_worker_resident_memory_bytes", Kind.GAUGE, ("worker",), "Resident memory of each worker.", "bytes"
    ),
    # routes on their way from an upstream to Kafka
    Family("stepbridge_migration_requests_total", Kind.COUNTER, ("route", "stage"), "Requests, by who served them."),
    Family("stepbridge_migration_shadow_written_total", Kind.COUNTER, _ROUTE, "Records that the shadow has in Kafka."),
    Family(
        "stepbridge_migration_losses_total",
        Kind.COUNTER,
        ("route", "reason"),
        "Requests the old service took, or may have, and the shadow has no record of, or none that is known of.",
    ),
    Family(
        "stepbridge_migration_last_loss_timestamp_seconds",
        Kind.GAUGE,
        _ROUTE,
        "When the shadow last lost one; 0: never.",
        "seconds",
        Merge.MAX,
    ),
    Family(
        "stepbridge_migration_violations_total",
        Kind.COUNTER,
        ("route", "stage"),
        "Requests no record could be made of: they violate the schema, or a template.",
    ),
    Family(
        "stepbridge_migration_divergences_total",
        Kind.COUNTER,
        ("route", "case"),
        "Requests at dual after which one side has, or may have, what the other has not.",
    ),
    Family(
        "stepbridge_migration_compared_total",
        Kind.COUNTER,
        ("route", "result"),
        "Answers held against the old service's: `same`, `different`; `large` and `encoded` cannot be compared.",
    ),
    Family(
        "stepbridge_migration_seconds",
        Kind.HISTOGRAM,
        ("route", "side"),
        "Time to the head of the old service's answer (`legacy`), and until Kafka had the record (`kafka`).",
        "seconds",
    ),
    Family(
        "stepbridge_migration_old_path_callers",
        Kind.GAUGE,
        _ROUTE,
        "Callers that were served at legacy or shadow, as the worker knows it that has seen most; at most 1000.",
        merge=Merge.MAX,
    ),
)

BY_NAME = {family.name: family for family in FAMILIES}


def markdown() -> str:
    """The text of `docs/metrics.md`. Write it with `python -m proxy.observe.catalogue > docs/metrics.md`."""
    rows = [f"| `{f.name}` | {f.kind} | {_code(f.labels)} | {f.unit or '–'} | {f.help} |" for f in FAMILIES]
    return "\n".join((*_HEAD, *rows, *_FOOT)) + "\n"


def _code(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels) or "–"


_HEAD = (
    "# Metrics",
    "",
    "`GET /metrics` on the admin port (9090), as Prometheus text, or as OpenMetrics where the `Accept` header asks",
    "for `application/openmetrics-text`. Label values come from the configuration only, never from a request.",
    "",
    "| metric | type | labels | unit | what it tells |",
    "|---|---|---|---|---|",
)
_FOOT = (
    "",
    f"Buckets of every histogram, in seconds: {', '.join(f'{bound:g}' for bound in BOUNDS_S)}.",
    "",
    "Requests that match no route are counted under the route `(none)`. CPU time, memory and open files of the process",
    "are in `process_*`.",
    "",
    "With several workers `process_*` is the supervisor's own. Counters and histograms are sums over all workers, also",
    "those that have died, but for their last second. Gauges are of the workers that answer, and are added up, but for",
    "`stepbridge_group_lag_records`, `stepbridge_group_partition_*` and those that are 0 or 1.",
    "",
    "What has the label `partition` is told by the worker that owns the partition, and by no other: of one that has",
    "moved away there is nothing.",
)

if __name__ == "__main__":
    sys.stdout.write(markdown())
