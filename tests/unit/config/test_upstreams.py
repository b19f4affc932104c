"""`upstreams`, and routes that name one: what is refused, and in what words."""

from pathlib import Path

import pytest
import trustme

from tests.unit.config.files import load_text, mistakes, with_routes

PASSES = "- {route: '* /{rest...}', upstream: old}"


def file(upstream: str, routes: str = PASSES) -> str:
    return with_routes(routes) + f"\nupstreams:\n  old: {{{upstream}}}\n"


@pytest.mark.parametrize(
    ("upstream", "mistake"),
    [
        ("connections: 5", "url: is missing"),
        ("url: []", "url: has too few entries"),
        ("url: legacy:8000", "url[0]: 'legacy:8000' is no URL of a service: write for example http://"),
        ("url: ftp://legacy", "url[0]: 'ftp://legacy' is no URL of a service"),
        ("url: http://legacy/base", "url[0]: 'http://legacy/base' has a path, and paths go through as clients send"),
        ("url: http://user:word@legacy", "has credentials, or the port 0"),
        ("url: http://legacy:port", "url[0]: 'http://legacy:port' has no usable port"),
        ("url: http://legacy, host: a b", "host: 'a b' is no host: write preserve, upstream, or a name"),
        ("url: http://legacy, retries: 9", "retries: is 9, must be at most 5"),
        ("url: http://legacy, timeout: 5", "timeout: unknown key, did you mean timeout_ms?"),
        ("url: http://legacy, health: {}", "health.path: is missing"),
        ("url: http://legacy, health: {path: health}", "health.path: 'health' is no path: write for example /healthz"),
        ("url: http://legacy, tls: {ca: x.pem}", "tls: is for https, and no `url` here is"),
        ("url: https://legacy, tls: {ca: nowhere.pem}", "nowhere.pem cannot be used: No such file"),
        ("url: https://legacy, tls: {certificate: x.pem}", "tls.certificate: needs `key` too"),
        ("url: https://legacy, tls: {key: x.pem}", "tls.key: needs `certificate` too"),
    ],
)
def test_a_wrong_upstream_is_told_with_what_would_be_right(tmp_path: Path, upstream: str, mistake: str) -> None:
    found = mistakes(tmp_path, file(upstream))
    assert any(mistake in one for one in found), found
    assert all("upstreams.old" in one for one in found)


@pytest.mark.parametrize(
    ("route", "mistake"),
    [
        ("upstream: odl", "upstream: odl is not one of `upstreams`, did you mean old?"),
        ("upstream: xyz", "upstream: xyz is not one of `upstreams`, there are: old"),
        ("upstream: old, produce: {topic: a}", "upstream: stands beside produce: write `migrate`"),
        ("upstream: old, consume: {topics: [a]}", "consume: stands beside upstream: make it two routes"),
        (
            "upstream: old, response: {status: 200}",
            "response: is for produce routes: an upstream's answer goes through",
        ),
        ("upstream: old, cors: {origins: ['*']}", "cors: stands beside upstream: its own CORS answers go through"),
        (
            "upstream: old, limits: {in_flight_bytes: 5}",
            "limits.in_flight_bytes: stands beside upstream: bodies are str",
        ),
        ("upstream: old, deprecation: {}", "deprecation: says nothing: write since, sunset or link"),
        ("upstream: old, deprecation: {since: soon}", "deprecation.since: is 'soon', must be a time such as"),
        ("upstream: old, deprecation: {link: a b}", "deprecation.link: 'a b' is no URL"),
        (
            "upstream: old, deprecation: {since: '2027-01-02', sunset: '2027-01-01'}",
            "deprecation.sunset: is before `since`",
        ),
    ],
)
def test_what_cannot_stand_beside_an_upstream_is_told(tmp_path: Path, route: str, mistake: str) -> None:
    found = mistakes(tmp_path, file("url: http://legacy", f"- {{route: GET /a, {route}}}"))
    assert any(mistake in one for one in found), found


def test_an_upstream_is_read_with_its_defaults(tmp_path: Path) -> None:
    config = load_text(tmp_path, file("url: http://legacy:8000/"))
    old = config.upstreams["old"]
    assert old.url == ("http://legacy:8000",)
    assert (old.timeout_ms, old.host, old.retries, old.health, old.total_timeout_ms) == (
        30_000,
        "preserve",
        1,
        None,
        None,
    )


def test_a_passthrough_may_take_bodies_of_any_size(tmp_path: Path) -> None:
    routes = "- {route: POST /a, upstream: old, limits: {max_body_bytes: 10000000000}}"
    assert load_text(tmp_path, file("url: http://legacy", routes)).routes[0].limits.max_body_bytes == 10**10


def test_files_of_tls_are_named_relative_to_the_file(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    config = load_text(tmp_path, file("url: https://legacy, tls: {ca: ca.pem}"))
    tls = config.upstreams["old"].tls
    assert tls is not None
    assert tls.ca == str(tmp_path / "ca.pem")
