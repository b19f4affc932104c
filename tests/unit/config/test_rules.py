"""What may stand together."""

from pathlib import Path

import pytest

from tests.unit.config.files import A_ROUTE, HEAD, load_text, mistakes, with_routes


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.7", "::", "bridge.example.com", ""])
@pytest.mark.parametrize("side", ["server", "admin"])
def test_a_host_that_lets_other_machines_in_needs_auth_to_be_written_out(tmp_path: Path, side: str, host: str) -> None:
    text = HEAD + A_ROUTE + f"{side}: {{host: '{host}'}}\n"
    (found,) = mistakes(tmp_path, text)
    assert f": {side}.host: " in found
    assert mistakes(tmp_path, text + "auth: none\n") == []
    assert len(mistakes(tmp_path, text + "auth: null\n")) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_loopback_host_needs_none(tmp_path: Path, host: str) -> None:
    assert load_text(tmp_path, HEAD + A_ROUTE + f"server: {{host: '{host}'}}\n").server.host == host


def test_server_and_admin_cannot_share_a_port(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, HEAD + A_ROUTE + "admin: {port: 8080}\n")
    assert found == "5:15: admin.port: 8080 is the port of `server` too: give each its own"
    assert mistakes(tmp_path, HEAD + A_ROUTE + "admin: {port: 0}\nserver: {port: 0}\n") == []


def test_one_body_must_fit_into_what_may_be_in_flight(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, HEAD + A_ROUTE + "limits: {in_flight_bytes: 1000}\n")
    assert found == "5:1: limits.max_body_bytes: is more than in_flight_bytes (1000)"
    (found,) = mistakes(tmp_path, HEAD + A_ROUTE + "    limits: {max_body_bytes: 99999999}\n")
    assert found.startswith("5:30: routes[0].limits.max_body_bytes: is more than limits.in_flight_bytes")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("POST /a", "POST /a"),
        ("POST /a/{x}", "POST /a/{y}"),
        ("* /{rest...}", "* /{other...}"),
    ],
)
def test_routes_that_take_the_same_requests_collide_at_the_second(tmp_path: Path, first: str, second: str) -> None:
    routes = f"""
        - {{route: "{first}", name: one, produce: {{topic: a}}}}
        - {{route: "{second}", name: two, produce: {{topic: a}}}}
    """
    assert mistakes(tmp_path, with_routes(routes)) == [
        f"4:13: routes[1].route: takes the same requests as routes[0] ({first})"
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("POST /a", "PUT /a"),
        ("POST /a", "* /a"),
        ("POST /a", "POST /a/"),
        ("POST /a/b", "POST /a/{x}"),
        ("POST /a/{x}", "POST /a/{x...}"),
    ],
)
def test_routes_of_which_one_is_more_literal_do_not_collide(tmp_path: Path, first: str, second: str) -> None:
    routes = f"""
        - {{route: "{first}", name: one, produce: {{topic: a}}}}
        - {{route: "{second}", name: two, produce: {{topic: a}}}}
    """
    assert mistakes(tmp_path, with_routes(routes)) == []


def test_a_route_collides_with_the_acks_of_another_wherever_it_stands(tmp_path: Path) -> None:
    read = "- {route: 'GET /a/{x}', consume: {topics: [a], group: g}}"
    write = "- {route: 'POST /a/{y}/ack', produce: {topic: a}}"
    said = "route: its acks, POST /a/{x}/ack, collide with"
    assert mistakes(tmp_path, with_routes(f"{read}\n{write}")) == [
        f"3:13: routes[0].{said} routes[1] (POST /a/{{y}}/ack)"
    ]
    assert mistakes(tmp_path, with_routes(f"{write}\n{read}")) == [
        f"4:13: routes[1].{said} routes[0] (POST /a/{{y}}/ack)"
    ]
    auto = read.replace("group: g", "group: g, ack: auto")
    assert mistakes(tmp_path, with_routes(f"{auto}\n{write}")) == []


def test_a_catch_all_does_not_collide_with_acks(tmp_path: Path) -> None:
    routes = """
        - {route: GET /a, consume: {topics: [a], group: g}}
        - {route: "* /{rest...}", produce: {topic: a}}
    """
    assert mistakes(tmp_path, with_routes(routes)) == []


def test_two_routes_cannot_have_one_name_whether_given_or_made(tmp_path: Path) -> None:
    routes = """
        - {route: POST /a/b, produce: {topic: a}}
        - {route: "POST /a/{b}", produce: {topic: a}}
        - {route: GET /c, name: post-a-b, consume: {topics: [a]}}
    """
    assert mistakes(tmp_path, with_routes(routes)) == [
        "4:13: routes[1].route: the name post-a-b is that of routes[0] (POST /a/b) too: write another `name`",
        "5:27: routes[2].name: the name post-a-b is that of routes[0] (POST /a/b) too: write another `name`",
    ]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("topics: [b, a]", None),
        ("topics: [a, b], ack: auto", None),
        ("topics: [a]", "topics: topics differs from that of routes[0] (GET /a) in the same group"),
        ("topics: [a, b], lease_ms: 5", "lease_ms: lease_ms differs from that of routes[0] (GET /a)"),
        ("topics: [a, b], order: key", "order: order differs from that of routes[0] (GET /a)"),
        ("topics: [a, b], max_in_flight: 5", "max_in_flight: max_in_flight differs from that of routes[0] (GET /a)"),
        ("topics: [a, b], dead_letter: d", "dead_letter: dead_letter differs from that of routes[0] (GET /a)"),
        ("topics: [a, b], from: latest", "from: from differs from that of routes[0] (GET /a)"),
    ],
)
def test_routes_of_one_group_read_and_lease_alike(tmp_path: Path, settings: str, told: str | None) -> None:
    routes = f"""
        - {{route: GET /a, consume: {{topics: [a, b], group: g}}}}
        - {{route: GET /b, consume: {{group: g, {settings}}}}}
    """
    found = mistakes(tmp_path, with_routes(routes))
    assert [line.split("consume.")[1].split(": [")[0].startswith(told or "-") for line in found] == [True] * bool(told)


@pytest.mark.parametrize(
    ("route", "mistake"),
    [
        ("{route: POST /a}", "5: routes[0]: says neither produce, consume nor upstream"),
        (
            "{route: GET /a, produce: {topic: a}, consume: {topics: [a]}}",
            "51: routes[0].consume: stands beside",
        ),
        ("{route: PUT /a, consume: {topics: [a]}}", "13: routes[0].route: PUT does not read"),
        ("{route: GET /a, consume: {topics: [a]}, response: {}}", "45: routes[0].response: is for produce routes"),
        ("{route: GET /a, consume: {topics: [a], ack: auto}}", "44: routes[0].consume.ack: ack needs a `group`"),
        ("{route: GET /a, consume: {topics: [a], lease_ms: 5}}", "44: routes[0].consume.lease_ms: lease_ms needs a"),
        ("{route: GET /a, consume: {topics: [a], order: key}}", "44: routes[0].consume.order: order needs a `group`"),
        (
            "{route: GET /a, consume: {topics: [a], dead_letter: d}}",
            "44: routes[0].consume.dead_letter: dead_letter",
        ),
        (
            "{route: GET /a, consume: {topics: [a], group: g, max_deliveries: 5}}",
            "54: routes[0].consume.max_deliveries: needs a `dead_letter` topic",
        ),
        (
            "{route: GET /a, consume: {topics: [a], group: g, dead_letter: a}}",
            "67: routes[0].consume.dead_letter: a is one of the topics that are read",
        ),
        (
            "{route: GET /a, consume: {topics: [a], group: g, ack: auto, commit: each}}",
            "65: routes[0].consume.commit: is for explicit acks",
        ),
        ("{route: 'GET /{x...}', consume: {topics: [a], group: g}}", "13: routes[0].route: leaves no place for /ack"),
        ("{route: GET /a, consume: {topics: [a, b, a]}}", "46: routes[0].consume.topics[2]: a is listed twice"),
        ("{route: POST /a, produce: {topic: a, key: k, value: null}}", "57: routes[0].produce.value: null (a tombst"),
        ("{route: DELETE /a, produce: {topic: a, value: null}}", "51: routes[0].produce.value: null (a tombstone) del"),
        ("{route: POST /a, produce: {topic: a, partition: x}}", "53: routes[0].produce.partition: x is no partition"),
        (
            "{route: POST /a, produce: {topic: a, timestamp: soon}}",
            "53: routes[0].produce.timestamp: 'soon' is no time",
        ),
        (
            "{route: POST /a, produce: {topic: a, timestamp: '2026-01-01 12:00'}}",
            "53: routes[0].produce.timestamp: '2026-01-01 12:00' is no time",
        ),
        ("{route: POST /a, produce: {topic: a, partition: -1}}", "53: routes[0].produce.partition: -1 is no"),
    ],
)
def test_what_cannot_stand_together_in_a_route_is_told(tmp_path: Path, route: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, with_routes(f"- {route}"))
    assert found.startswith(f"3:{mistake}")


@pytest.mark.parametrize(
    "route",
    [
        "{route: 'GET /{x...}', consume: {topics: [a], group: g, ack: auto}}",
        "{route: 'DELETE /a/{k}', produce: {topic: a, key: '{path.k}', value: null}}",
        "{route: POST /a, produce: {topic: a, partition: 3}}",
        "{route: POST /a, produce: {topic: a, timestamp: 1767225600000}}",
        "{route: POST /a, produce: {topic: a, timestamp: '2026-01-01T00:00:00Z'}}",
        "{route: POST /a, produce: {topic: a, timestamp: '{body.at}'}}",
        "{route: POST /a, produce: {topic: a, partition: '{query.p}'}}",
        "{route: POST /poll, consume: {topics: [a]}}",
        "{route: GET /a, consume: {topics: [a], group: g, dead_letter: d, max_deliveries: 5, commit: interval}}",
        "{route: GET /a, consume: {topics: [a], group: g, ack: auto, dead_letter: d, order: key, max_in_flight: 1}}",
        "{route: POST /a, produce: {topic: a, content_types: [text/xml]}}",
        "{route: POST /a, produce: {topic: a, key: '{body.x}', content_types: [application/vnd.x+json]}}",
        "{route: POST /a, produce: {topic: a, key: '{body.x}', content_types: [application/x-www-form-urlencoded]}}",
        "{route: POST /a, produce: {topic: a, batch: true, key: '{body.x}', content_types: [application/x-ndjson]}}",
        "{route: POST /a, produce: {topic: a, batch: true, content_types: [text/xml, application/json]}}",
    ],
)
def test_what_can_stand_together_is_taken(tmp_path: Path, route: str) -> None:
    assert mistakes(tmp_path, with_routes(f"- {route}")) == []


@pytest.mark.parametrize(
    ("produce", "mistake"),
    [
        ('key: "{body.x"', "produce.key: has a '{' that stands alone"),
        ('key: "{path.x}"', "produce.key: {path.x} is not in the route POST /a: there are none"),
        ('key: "{record.offset}"', "produce.key: {record.offset} is known only once the record is written"),
        ('key: "a\\nb"', "produce.key: has a line break or NUL"),
        ("headers: {h: '{boddy.x}'}", "produce.headers.h: {boddy.x} is unknown"),
        ("timestamp: '{nw}'", "produce.timestamp: {nw} is unknown"),
        ("partition: '{claims.x}'", "produce.partition: {claims.x} is of a caller, and nobody is asked who they are"),
        (
            "key: '{body.x}', content_types: [text/xml]",
            "produce.content_types[0]: text/xml cannot be read, and it reads",
        ),
        (
            "key: '{body.x}', content_types: [application/x-ndjson]",
            "produce.content_types[0]: application/x-ndjson cannot be read, and it reads",
        ),
        ("batch: true, content_types: [text/xml]", "produce.content_types: has neither JSON nor NDJSON, and it says"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_told_where_it_stands(
    tmp_path: Path, produce: str, mistake: str
) -> None:
    (found,) = mistakes(tmp_path, with_routes(f"- {{route: POST /a, produce: {{topic: a, {produce}}}}}"))
    assert f": routes[0].{mistake}" in found


def test_templates_deep_in_an_answer_have_their_own_place(tmp_path: Path) -> None:
    routes = """
        - route: POST /a
          produce: {topic: a}
          response:
            headers: {location: "/{record.offset}"}
            body:
              items:
                - {ok: true}
                - at: "{record.ofset}"
    """
    found = mistakes(tmp_path, with_routes(routes))
    assert [line.split(" ")[:2] for line in found] == [
        ["6:27:", "routes[0].response.headers.location:"],
        ["10:17:", "routes[0].response.body.items[1].at:"],
    ]


def test_a_schema_narrows_content_types_to_json(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    form = "content_types: [application/x-www-form-urlencoded, application/json]"
    (found,) = mistakes(tmp_path, with_routes(f"- {{route: POST /a, produce: {{topic: a, schema: x.json, {form}}}}}"))
    assert "routes[0].produce.content_types[0]: application/x-www-form-urlencoded cannot be read" in found


@pytest.mark.parametrize("status", [204, 205, 304])
def test_an_answer_that_has_no_body_cannot_be_given_one(tmp_path: Path, status: int) -> None:
    routes = f"- {{route: POST /a, produce: {{topic: a}}, response: {{status: {status}, body: {{a: 1}}}}}}"
    (found,) = mistakes(tmp_path, with_routes(routes))
    assert f"routes[0].response.body: a {status} has no body" in found


def test_rules_look_at_routes_that_have_mistakes_of_their_own(tmp_path: Path) -> None:
    routes = """
        - {route: POST /a, produce: {topic: a b}}
        - {route: POST /a, name: two, produce: {}}
    """
    assert [line.split(": ")[1] for line in mistakes(tmp_path, with_routes(routes))] == [
        "routes[0].produce.topic",
        "routes[1].route",
        "routes[1].produce.topic",
    ]
