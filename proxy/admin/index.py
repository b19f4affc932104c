"""The admin side's front page: what there is. One file, no scripts, nothing from elsewhere."""

import base64
import hashlib

from proxy import __version__

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #1d2733 }
h1 { font-size: 1.4rem } small { color: #667; font-weight: normal }
td { padding: .25rem 1.5rem .25rem 0; vertical-align: top } a, code { font-family: ui-monospace, monospace }
@media (prefers-color-scheme: dark) { body { background: #12161c; color: #dde3ea } a { color: #8bb8ff } }
"""

_LINKS = (
    ("/healthz", "the process works"),
    ("/readyz", "requests may be sent here"),
    ("/readyz?strict=1", "… and everything it depends on is there; the state of each"),
    ("/metrics", "Prometheus text, or OpenMetrics by <code>Accept</code>"),
    ("/admin/routes", "each route: topics, state, requests"),
    ("/admin/groups", "each consumer group: workers, partitions, lag, leases"),
    ("/admin/migration", "routes on their way to Kafka: stage, replicas, changes"),
    ("/openapi.json", "OpenAPI 3.1 of the configured routes"),
)

_OF_MIGRATIONS = (
    ("GET /admin/migration/{route}", "the same of one route, with its last changes"),
    (
        "POST …/set",
        "put it at <code>?stage=</code>legacy, shadow, dual, kafka; <code>&amp;rollout=25%25&amp;why=&amp;who=</code>",
    ),
    ("GET …/report", "how ready it is: shares, the shadow's success, violations, latencies, compared answers, callers"),
    ("GET …/losses", "what its shadow lost, the newest first"),
)

_OF_GROUPS = (  # below /admin/groups/{group}
    (
        "POST …/seek",
        "go on from <code>?to=</code>begin, end, an offset or a time; <code>&amp;topic=&amp;partition=</code>",
    ),
    ("POST …/skip", "go on without <code>?record=</code>topic:partition:offset"),
    ("GET …/dead", "the newest dead letters: <code>?max=100&amp;values=1</code>"),
    ("POST …/replay", "send <code>?id=</code>dead letters, or <code>?all=1</code>, back to where they came from"),
)

_digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def index_page() -> str:
    """The page as HTML; to be sent with CONTENT_SECURITY_POLICY, which knows its style by hash."""
    rows = "\n".join(f'<tr><td><a href="{path}">{path}</a></td><td>{text}</td></tr>' for path, text in _LINKS)
    below = (*_OF_GROUPS, *_OF_MIGRATIONS)
    orders = "\n".join(f"<tr><td><code>{what}</code></td><td>{text}</td></tr>" for what, text in below)
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Stepbridge</title><style>{_STYLE}</style></head>
<body>
<h1>Stepbridge <small>{__version__}, admin side</small></h1>
<table>
{rows}
<tr><td><code>POST /admin/reload</code></td><td>read the configuration file again (or <code>stepbridge reload</code>)
</td></tr>
{orders}
</table>
</body>
</html>
"""
