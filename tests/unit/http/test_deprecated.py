"""What clients of a route that will go are told."""

import pytest

from proxy.config.upstreams import Deprecation
from proxy.http.deprecated import deprecation_headers


@pytest.mark.parametrize(
    ("said", "headers"),
    [
        ({"since": "2023-06-30T23:59:59Z"}, [(b"deprecation", b"@1688169599")]),  # the example of RFC 9745
        ({"since": "2023-07-01T01:59:59+02:00"}, [(b"deprecation", b"@1688169599")]),
        ({"sunset": "2018-12-31T23:59:59Z"}, [(b"sunset", b"Mon, 31 Dec 2018 23:59:59 GMT")]),  # that of RFC 8594
        ({"link": "https://a.example/b"}, [(b"link", b'<https://a.example/b>; rel="deprecation"')]),
        (
            {"sunset": "2018-12-31T23:59:59Z", "link": "/policy"},
            [(b"sunset", b"Mon, 31 Dec 2018 23:59:59 GMT"), (b"link", b'</policy>; rel="sunset"')],
        ),
    ],
)
def test_the_fields_are_those_of_the_standards(said: dict[str, str], headers: list[tuple[bytes, bytes]]) -> None:
    assert deprecation_headers(Deprecation.model_validate(said)) == headers
