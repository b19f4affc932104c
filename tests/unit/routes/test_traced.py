"""Records carry the trace of their request."""

from typing import Any

from proxy.config.model import Route
from proxy.routes.request import Request
from proxy.routes.traced import TracedRecipe

TRACE = [(b"traceparent", b"00-1-2-01"), (b"tracestate", b"a=1")]


def recipe(**produce: Any) -> TracedRecipe:
    route = Route.model_validate({"route": "POST /a", "produce": {"topic": "a", **produce}})
    made = TracedRecipe.compile(route)
    assert isinstance(made, TracedRecipe)
    return made


def request(*headers: tuple[bytes, bytes]) -> Request:
    return Request({}, b"", headers, b"{}")


def test_the_trace_of_the_request_is_in_the_records_headers() -> None:
    assert recipe().record(request((b"x", b"1"), *TRACE)).headers == [
        ("traceparent", b"00-1-2-01"),
        ("tracestate", b"a=1"),
    ]


def test_the_routes_own_headers_stay_and_one_of_that_name_is_not_overruled() -> None:
    made = recipe(headers={"source": "{header.x}", "tracestate": "own"})
    headers = [("source", b"1"), ("tracestate", b"own"), ("traceparent", b"00-1-2-01")]
    assert made.record(request((b"x", b"1"), *TRACE)).headers == headers


def test_each_item_of_a_batch_carries_it() -> None:
    made = recipe(batch=True)
    assert made.item(request(*TRACE).item(b"{}")).headers == [("traceparent", b"00-1-2-01"), ("tracestate", b"a=1")]
