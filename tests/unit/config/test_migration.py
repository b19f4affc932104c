"""`routes.*.migrate` as it may be written, and what is said of it where it may not."""

from pathlib import Path

import pytest

from proxy.config.migration import Compare
from tests.unit.config.files import load_text, mistakes, with_routes


def file(migrate: str, route: str = "POST /orders/{id}") -> str:
    return "upstreams: {old: {url: 'http://127.0.0.1:9'}}\n" + with_routes(
        f"""
        - route: {route}
          upstream: old
          produce: {{topic: orders}}
          migrate: {migrate}
        """
    )


def test_what_is_not_written_has_its_default(tmp_path: Path) -> None:
    (route,) = load_text(tmp_path, file("{}")).routes
    assert route.migrate is not None
    assert (route.migrate.stage, route.migrate.compare, route.migrate.redact) == ("legacy", None, None)
    (route,) = load_text(tmp_path, file("{compare: {}, redact: []}")).routes
    assert route.migrate is not None
    assert (route.migrate.compare, route.migrate.redact) == (Compare(sample="10%"), ())


@pytest.mark.parametrize(
    ("migrate", "what"),
    [
        ("{caller: '{header.authorization}'}", "migrate.caller: {header.authorization} is a credential"),
        ("{caller: 'x-{header.Cookie}'}", "migrate.caller: {header.Cookie} is a credential"),
        ("{caller: everybody}", "migrate.caller: does not say who is who"),
        ("{caller: '{path.store}'}", "migrate.caller: {path.store} is not in the route"),
        ("{caller: '{record.offset}'}", "migrate.caller: {record.offset} is known only once"),
        ("{caller: '{header.x'}", "migrate.caller: has a '{' that stands alone"),
        ("{redact: [a..b]}", "migrate.redact[0]: 'a..b' is no place in a document"),
        ("{compare: {paths: [$.a]}}", "migrate.compare.paths[0]: '$.a' is no place in a document"),
        ("{compare: {ignore: ['']}}", "migrate.compare.ignore[0]: '' is no place in a document"),
        ("{compare: {sample: all}}", "migrate.compare.sample: 'all' is no share"),
        ("{compare: {baseline: true}}", "migrate.compare.baseline: asks the old service twice, and a second POST"),
        ("{stage: legacy, rollout: 25%}", "migrate.rollout: is of a stage above legacy"),
        ("{rollout_by: '{uuid}'}", "migrate.rollout_by: does not say who is who"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, migrate: str, what: str) -> None:
    found = mistakes(tmp_path, file(migrate))
    assert any(what in mistake for mistake in found), found


def test_a_get_may_be_asked_twice(tmp_path: Path) -> None:
    assert mistakes(tmp_path, file("{compare: {baseline: true}}", "GET /orders/{id}")) == []
