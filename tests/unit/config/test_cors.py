"""A route's `cors`: what an origin is, and what may stand together."""

from pathlib import Path

import pytest

from tests.unit.config.files import load_text, mistakes, with_routes


@pytest.mark.parametrize(
    "origin", ["*", "https://a.example", "http://localhost:3000", "http://127.0.0.1:1", "http://[::1]:80", "app://x"]
)
def test_an_origin_is_what_browsers_send(tmp_path: Path, origin: str) -> None:
    config = load_text(
        tmp_path, with_routes(f"- {{route: POST /a, produce: {{topic: a}}, cors: {{origins: ['{origin}']}}}}")
    )
    cors = config.routes[0].cors
    assert cors is not None
    assert (cors.origins, cors.headers, cors.credentials, cors.max_age_ms) == ((origin,), (), False, 600_000)


@pytest.mark.parametrize(
    "origin", ["https://a.example/", "https://A.example", "a.example", "https://*.example", "null", "", "https://a/b"]
)
def test_what_is_no_origin_is_refused_with_an_example(tmp_path: Path, origin: str) -> None:
    (found,) = mistakes(
        tmp_path, with_routes(f"- {{route: POST /a, produce: {{topic: a}}, cors: {{origins: ['{origin}']}}}}")
    )
    assert f"cors.origins[0]: {origin!r} is no origin: write for example https://shop.example.com" in found


@pytest.mark.parametrize(
    ("cors", "mistake"),
    [
        ("{}", "cors.origins: is missing"),
        ("{origins: []}", "cors.origins: has too few entries"),
        ("{origins: ['*'], credentials: true}", 'cors.credentials: is for named origins: with "*" browsers refuse it'),
        ("{origins: ['*'], headers: [a b]}", "cors.headers[0]: 'a b' is no HTTP header name"),
        ("{origins: ['*'], methods: [GET]}", "cors.methods: unknown key"),
    ],
)
def test_a_wrong_cors_is_told_with_what_would_be_right(tmp_path: Path, cors: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, with_routes(f"- {{route: POST /a, produce: {{topic: a}}, cors: {cors}}}"))
    assert f"routes[0].{mistake}" in found


@pytest.mark.parametrize("path", ["/a", "/a/ack"])
def test_a_route_for_options_collides_with_the_preflights_of_its_path(tmp_path: Path, path: str) -> None:
    routes = f"""
    - {{route: GET /a, consume: {{topics: [a], group: g}}, cors: {{origins: ["*"]}}}}
    - {{route: OPTIONS {path}, produce: {{topic: a}}}}
    """
    (found,) = mistakes(tmp_path, with_routes(routes))
    assert "routes[1].route: is answered for the `cors` of routes[0] (GET /a): leave out one" in found
