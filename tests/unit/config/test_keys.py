"""Keys and values one by one: what is refused, and in what words."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config.later import KEYS
from tests.unit.config.files import A_ROUTE, HEAD, load_text, mistakes, with_routes

LONG = "0123456789abcdef"
REQUIRED = {"peer": {"listen": "a:1", "secret": LONG}}


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("sever: {}", "1: sever: unknown key, did you mean server?"),
        ("upsteams: {}", "1: upsteams: unknown key, did you mean upstreams?"),
        ("zzz: 1", "1: zzz: unknown key, there are: kafka, topics, auth, "),
        ("limits: {inflight: 5}", "10: limits.inflight: unknown key, did you mean in_flight?"),
        ("server:", "8: server: is empty, must be a mapping (key: value)"),
        ("server: 8080", "9: server: is 8080, must be a mapping (key: value)"),
        ("server: {port: 70000}", "16: server.port: is 70000, must be at most 65535"),
        ("server: {port: true}", "16: server.port: is true, must be a whole number"),
        ("server: {port: 80.5}", "16: server.port: is 80.5, must be a whole number, such as 8080"),
        ("limits: {in_flight: many}", "21: limits.in_flight: is 'many', must be a whole number, such as 100"),
        (
            "limits: {max_body_bytes: 1MB}",
            "26: limits.max_body_bytes: is '1MB', must be a whole number of bytes, such as 1048576",
        ),
        ("auth: off", "7: auth: is off, a truth value: where nobody is to be told apart, write `auth: none`"),
        ("auth: false", "7: auth: is false, a truth value: where nobody is to be told apart, write `auth: none`"),
        ("server: {host: 5}", "16: server.host: is 5, must be text: put it in quotes"),
        ("topics: {create: 'maybe'}", "18: topics.create: is 'maybe', must be true or false"),
        ("limits: {streams: 0}", "19: limits.streams: is 0, must be more than 0"),
        ("auth: basic", "7: auth: is 'basic', must be none, or a mapping that says who callers are"),
        ("admin: {auth: {callers: []}}", "16: admin.auth.callers: unknown key, there are: keys, basic, open"),
        (
            "observe: {log_level: loud}",
            "22: observe.log_level: is 'loud', must be 'debug', 'info', 'warning' or 'error'",
        ),
        ("secret: short", "9: secret[0]: is too short: a secret has at least 16 characters"),
        (f"secret: [{LONG}, {LONG}, {LONG}]", "9: secret: has too many entries, must have at most 2"),
    ],
)
def test_a_wrong_key_or_value_is_told_with_what_would_be_right(tmp_path: Path, text: str, mistake: str) -> None:
    (found, *_) = mistakes(tmp_path, HEAD + A_ROUTE + text + "\n")
    assert found.startswith(f"5:{mistake}")


@pytest.mark.parametrize("servers", ["localhost", "kafka:9092,", "http://kafka:9092", "kafka:port", "", "a:1 b:2"])
def test_brokers_that_are_no_host_and_port_are_refused(tmp_path: Path, servers: str) -> None:
    (found,) = mistakes(tmp_path, f"kafka: {{bootstrap_servers: '{servers}'}}\n{A_ROUTE}")
    assert "is no broker address: write host:port" in found


@pytest.mark.parametrize("servers", ["a:1", "a.b-c:9092, d:1", "[::1]:9092"])
def test_brokers_are_hosts_and_ports(tmp_path: Path, servers: str) -> None:
    config = load_text(tmp_path, f"kafka: {{bootstrap_servers: '{servers}'}}\n{A_ROUTE}")
    assert config.kafka.bootstrap_servers == servers


@pytest.mark.parametrize("key", sorted(KEYS))
def test_keys_of_later_versions_are_refused_by_name(tmp_path: Path, key: str) -> None:
    *sections, name = key.split(".")
    reads = "consume" in sections
    purpose = {"consume": {"topics": ["a"]}} if reads else {"produce": {"topic": "a"}}
    data: dict[str, Any] = {"kafka": {"bootstrap_servers": "a:1"}, "routes": [{"route": "GET /a", **purpose}]}
    here = data
    for section in sections:
        here = here[0] if section == "*" else here.setdefault(section, dict(REQUIRED.get(section, {})))  # type: ignore[index]
    here[name] = 1
    (found,) = mistakes(tmp_path, yaml.safe_dump(data))
    assert found.endswith(f"{name} is not in this version: leave it out")


@pytest.mark.parametrize(
    ("route", "mistake"),
    [
        ("{route: POST /a, prodce: {topic: a}}", "prodce: unknown key, did you mean produce?"),
        ("{produce: {topic: a}}", "route: is missing"),
        ("{route: PSOT /a, produce: {topic: a}}", "route: 'PSOT' is no method: write one of GET, POST"),
        ("{route: POST /a, name: 'a b', produce: {topic: a}}", "name: 'a b' is no name"),
        ("{route: POST /a, produce: [topic]}", "produce: is a list, must be a mapping (key: value)"),
    ],
)
def test_a_wrong_route_is_told_with_what_would_be_right(tmp_path: Path, route: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, with_routes(f"- {route}"))
    assert found.split(": ", 1)[1].startswith(f"routes[0].{mistake}")


def test_a_route_that_is_no_mapping_is_told_so(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, with_routes("- POST /a"))
    assert found == "3:5: routes[0]: is 'POST /a', must be a mapping (key: value)"


@pytest.mark.parametrize(
    ("produce", "mistake"),
    [
        ("", "topic: is missing"),
        ("topic: ..", "topic: '..' is no topic name"),
        ("topic: 'sales.{path.store}'", "topic: 'sales.{path.store}' is a template, and a topic is not made of one"),
        ("topic: 5", "topic: is 5, must be text: put it in quotes"),
        ("topic: a, key: 5", "key: is 5, must be text: put it in quotes"),
        ("topic: a, key: {body.sku}", 'key: is a mapping, must be text: a template needs quotes, "{body.sku}"'),
        ("topic: a, partition: true", "partition: is true, must be text: put it in quotes"),
        ("topic: a, value: '{body.x}'", "value: a value template is not in this version"),
        ("topic: a, headers: {'': x}", "headers.: '' is no header name"),
        ("topic: a, content_types: json", "content_types: is 'json', must be a list"),
        ("topic: a, content_types: [json]", "content_types[0]: 'json' is no media type"),
        ("topic: a, timeout_ms: 0", "timeout_ms: is 0, must be more than 0"),
        ("topic: a, partitioner: murmur3", "partitioner: is 'murmur3', must be 'murmur2' or 'consistent_random'"),
        ("topic: a, on_outage: wait", "on_outage: is 'wait', must be 'reject'"),
        ("topic: a, on_outage: spool", "on_outage: this value is not in this version, must be 'reject'"),
    ],
)
def test_a_wrong_produce_is_told_with_what_would_be_right(tmp_path: Path, produce: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, with_routes(f"- {{route: POST /a, produce: {{{produce}}}}}"))
    assert found.split(": ", 1)[1].startswith(f"routes[0].produce.{mistake}")


@pytest.mark.parametrize(
    ("response", "mistake"),
    [
        ("status: 500", "status: is 500, must be at most 399"),
        ("headers: {a b: c}", "headers.a b: 'a b' is no HTTP header name"),
        (
            "headers: {Proxy-Authenticate: c}",
            "headers.Proxy-Authenticate: Proxy-Authenticate is the server's own header",
        ),
        ("headers: {Content-Length: c}", "headers.Content-Length: Content-Length is the server's own header"),
    ],
)
def test_a_wrong_response_is_told_with_what_would_be_right(tmp_path: Path, response: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, with_routes(f"- {{route: POST /a, produce: {{topic: a}}, response: {{{response}}}}}"))
    assert found.split(": ", 1)[1].startswith(f"routes[0].response.{mistake}")


@pytest.mark.parametrize(
    ("consume", "mistake"),
    [
        ("topics: []", "topics: has too few entries, must have at least 1"),
        ("topics: a", "topics: is 'a', must be a list"),
        ("topics: [a], group: ''", "group: is no group name"),
        ("topics: [a], from: first", "from: is 'first', must be earliest, latest, or a time such as 2026-11-22T15:00:"),
        ("topics: [a], from: '1969-12-31T00:00:00Z'", "from: is '1969-12-31T00:00:00Z', must be earliest, latest"),
        ("topics: [a], allow_from: 5", "allow_from: is 5, must be true or false"),
        ("topics: [a], filter: {}", "filter: has too few entries, must have at least 1"),
        ("topics: [a], filter: [key]", "filter: is a list, must be a mapping (key: value)"),
        ("topics: [a], filter: {sku: x}", "filter.sku: 'sku' is no field of a record: write key, header.NAME or body."),
        ("topics: [a], filter: {body..x: x}", "filter.body..x: 'body..x' is no field of a record"),
        ("topics: [a], filter: {header.: x}", "filter.header.: 'header.' is no field of a record"),
        ("topics: [a], filter: {key: null}", "filter.key: is empty, must be text, a number, true or false, or a test"),
        ("topics: [a], filter: {key: [a, b]}", "filter.key: is a list, must be text, a number, true or false, or a"),
        ("topics: [a], filter: {key: {}}", "filter.key: has no test: write a value, or prefix, min or max"),
        ("topics: [a], filter: {key: {suffix: x}}", "filter.key: 'suffix' is no test: write prefix, min or max; a ba"),
        (
            "topics: [a], filter: {key: {path.x}}",
            'filter.key: is a mapping, must be text: a template needs quotes, "{p',
        ),
        ("topics: [a], filter: {body.n: {min: few}}", "filter.body.n: min is 'few', must be a number, or a template"),
    ],
)
def test_a_wrong_consume_is_told_with_what_would_be_right(tmp_path: Path, consume: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, with_routes(f"- {{route: GET /a, consume: {{{consume}}}}}"))
    assert found.split(": ", 1)[1].startswith(f"routes[0].consume.{mistake}")


@pytest.mark.parametrize(
    ("consume", "mistake"),
    [
        ("filter: {key: '{path.y}'}", "filter.key: {path.y} is not in the route GET /a/{x}: there are {path.x}"),
        ("filter: {key: {prefix: '{path.y}'}}", "filter.key.prefix: {path.y} is not in the route"),
        ("filter: {key: '{body.y}'}", "filter.key: {body.y} is not known of a reader: there are {path.…} and {query"),
        ("filter: {key: '{now}'}", "filter.key: {now} is not known of a reader"),
        ("filter: {key: '{x'}", "filter.key: has a '{' that stands alone"),
        ("filter: {body.n: {max: '{query.max}'}}", "filter.body.n.max: {query.max} is how many records a poll may ha"),
        ("filter: {key: '{path.x}:{query.y}'}", "filter.key: mixes {path.…} with {query.…}: without the parameter"),
        ("group: g, filter: {key: x}", "filter: is for routes without a `group`: a record that it leaves out would"),
        ("group: g, allow_from: true", "allow_from: is for routes without a `group`: where a group goes on, its comm"),
    ],
)
def test_what_cannot_stand_in_a_filter_of_its_route_is_told(tmp_path: Path, consume: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, with_routes(f"- {{route: 'GET /a/{{x}}', consume: {{topics: [a], {consume}}}}}"))
    assert found.split(": ", 1)[1].startswith(f"routes[0].consume.{mistake}")


def test_a_filter_is_read_test_by_test(tmp_path: Path) -> None:
    filter_ = "{key: {prefix: '{path.x}:'}, header.kind: sale, body.n: {min: 5, max: 1.5}, body.on: true}"
    config = load_text(
        tmp_path, with_routes(f"- {{route: 'GET /a/{{x}}', consume: {{topics: [a], filter: {filter_}}}}}")
    )
    assert config.routes[0].consume
    assert config.routes[0].consume.filter == {
        "key": {"prefix": "{path.x}:"},
        "header.kind": {"is": "sale"},
        "body.n": {"min": "5", "max": "1.5"},
        "body.on": {"is": "true"},
    }


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("earliest", "earliest"),
        ("latest", "latest"),
        ("2026-11-22T15:00:00Z", 1_795_359_600_000),
        ("2026-11-22T15:00:00.250", 1_795_359_600_250),
        ("2026-11-22T16:00+01:00", 1_795_359_600_000),
        ("2026-11-22", 1_795_305_600_000),
    ],
)
def test_a_time_to_begin_at_is_in_utc_unless_it_says_otherwise(tmp_path: Path, text: str, start: str | int) -> None:
    config = load_text(tmp_path, with_routes(f"- {{route: GET /a, consume: {{topics: [a], from: '{text}'}}}}"))
    assert config.routes[0].consume
    assert config.routes[0].consume.start == start


def test_no_routes_at_all_is_a_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path, HEAD + "routes: []\n") == ["2:9: routes: has too few entries, must have at least 1"]
