"""Which media type a client gets, whatever shape its Accept header has."""

import pytest

from proxy.errors import NotAcceptable
from proxy.http.accept import choose
from proxy.http.consume import JSON, NDJSON, OFFERED, SSE


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        (b"", JSON),
        (b"   ", JSON),
        (b"*/*", JSON),
        (b"*", JSON),
        (b"text/event-stream", SSE),
        (b"TEXT/Event-Stream", SSE),
        (b"text/event-stream;charset=utf-8;q=1", SSE),
        (b" text/event-stream ; q=0.9 , application/json;q=0.8", SSE),
        (b"application/json;q=0.5,text/event-stream;q=0.6,*/*;q=0.1", SSE),
        (b"application/json, text/event-stream", JSON),  # as good: the first that is offered
        (b"text/event-stream, application/json", JSON),
        (b"text/*", SSE),
        (b"application/*;q=0.1", JSON),
        (b"application/x-ndjson, */*;q=0.1", NDJSON),
        (b"*/*, application/json;q=0", SSE),  # all but that
        (b"application/json;q=0, application/*;q=0.3", NDJSON),  # the more specific counts
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),  # a browser's address line
        (b"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", JSON),  # Java's HttpURLConnection
        (b"application/json;q=2", JSON),
        (b"application/json;q=high, text/event-stream;q=0.1", SSE),  # what cannot be read is passed over
        (b",,;;,text/event-stream,,", SSE),
        (b"json, text/event-stream", SSE),
        (b"a/b/c, application/x-ndjson", NDJSON),
        (b'application/json;profile="a,b"', JSON),
        (b"text/event-stream" + b", x/y" * 1_000, SSE),
        (b"\xff\xfe, application/x-ndjson", NDJSON),
    ],
)
def test_the_best_of_what_is_offered_is_chosen(accept: bytes | None, chosen: str) -> None:
    assert choose(accept, OFFERED) == chosen


@pytest.mark.parametrize(
    "accept",
    [
        b"text/html",
        b"text/html, application/xml;q=0.9",
        b"application/json;q=0",
        b"*/*;q=0",
        b"text/event-stream;q=0.0",
        b"text/event-stream;q=-1",
        b"json",
        b"application/",
        b"application/json text/event-stream",
        b";q=1",
        b",",
        b"\xff",
        b"x" * 10_000,
        b"application/vnd.api+json",
    ],
)
def test_what_takes_none_of_it_is_refused_with_the_list(accept: bytes) -> None:
    with pytest.raises(NotAcceptable) as refused:
        choose(accept, OFFERED)
    assert all(media in refused.value.detail for media in OFFERED)
