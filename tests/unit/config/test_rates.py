"""`rate`, in `limits` and in a route's own: how it is written, and what may stand in it together."""

from pathlib import Path

import pytest

from proxy.config.rate import parse_rate
from tests.unit.config.files import A_ROUTE, HEAD, load_text, mistakes, with_routes


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/s", (100, 1, 100)),
        ("6000/min", (6_000, 60, 6_000)),
        ("20/h", (20, 3_600, 20)),
        ("100/s burst 500", (100, 1, 500)),
        ("  100/s   burst 1 ", (100, 1, 1)),
    ],
)
def test_a_rate_is_so_many_in_a_time_and_so_many_at_once(text: str, rate: tuple[int, int, int]) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["100", "0/s", "100/d", "1.5/s", "-1/s", "100/s burst", "100/s burst 0", "100 /s", ""])
@pytest.mark.parametrize("key", ["total", "client"])
def test_what_is_no_rate_is_refused_with_an_example(tmp_path: Path, key: str, text: str) -> None:
    (found,) = mistakes(tmp_path, HEAD + A_ROUTE + f"limits: {{rate: {{{key}: '{text}'}}}}\n")
    assert f": limits.rate.{key}: {text!r} is no rate: write for example 100/s, 6000/min, or 100/s burst 500" in found


@pytest.mark.parametrize("key", ["limits", "routes[0].limits"])
@pytest.mark.parametrize(
    ("rate", "mistake"),
    [
        ("{}", ": says neither total nor client: write for example `client: 100/s`"),
        ("{total: 5/s, by: '{header.a}'}", ".by: by needs `client`, the rate of each client"),
        ("{total: 5/s, clients: 5}", ".clients: clients needs `client`, the rate of each client"),
        ("{client: 5/s, by: '{body.a}'}", ".by: {body.a} is not known before the body: {header.…}, {query.…} and"),
        ("{client: 5/s, by: '{uuid}'}", ".by: {uuid} is not known before the body"),
        ("{client: 5/s, by: '{claims.sub}'}", ".by: {claims.sub} is of a caller, and nobody is asked"),
        ("{client: 5/s, by: key}", ".by: is the same for every client"),
        ("{client: 5/s, by: '{header.a'}", ".by: has a '{' that stands alone"),
        ("{client: 5/s, clients: 0}", ".clients: is 0, must be more than 0"),
        ("{client: 5/s, each: 5}", ".each: unknown key, there are: total, client, by, clients"),
    ],
)
def test_a_rate_that_makes_no_sense_is_refused(tmp_path: Path, key: str, rate: str, mistake: str) -> None:
    limits = f"limits: {{rate: {rate}}}\n"
    text = HEAD + A_ROUTE + ("    " if "routes" in key else "") + limits
    (found,) = mistakes(tmp_path, text)
    assert f": {key}.rate{mistake}" in found


def test_a_route_can_tell_its_clients_apart_by_its_path(tmp_path: Path) -> None:
    def file(by: str) -> str:
        limits = f"limits: {{rate: {{client: 5/s, by: '{by}'}}}}"
        return with_routes(f"- {{route: 'POST /a/{{store}}', produce: {{topic: a}}, {limits}}}")

    assert mistakes(tmp_path, file("{path.store}")) == []
    (found,) = mistakes(tmp_path, file("{path.shop}"))
    assert "by: {path.shop} is not in the route's path" in found


def test_the_common_rate_cannot_read_paths(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, HEAD + A_ROUTE + "limits: {rate: {client: 5/s, by: '{path.store}'}}\n")
    assert "{path.store} is not in every route" in found


def test_a_rate_is_kept_as_it_was_written(tmp_path: Path) -> None:
    rate = load_text(tmp_path, HEAD + A_ROUTE + "limits: {rate: {client: 5/s   burst 9}}\n").limits.rate
    assert rate is not None
    assert (rate.client, rate.total, rate.by, rate.clients) == ("5/s burst 9", None, None, 10_000)


def test_a_routes_bytes_in_flight_have_room_for_one_body(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, HEAD + A_ROUTE + "    limits: {in_flight_bytes: 5000}\n")
    assert found.startswith("5:31: routes[0].limits.in_flight_bytes: is less than one body may have (max_body_bytes")
    assert mistakes(tmp_path, HEAD + A_ROUTE + "    limits: {in_flight_bytes: 5000, max_body_bytes: 5000}\n") == []
