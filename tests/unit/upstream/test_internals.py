"""What `lines.py` and `call.py` know of aiohttp's insides: if one fails, read them before raising the version."""

import inspect

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import BaseConnector, Connection
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader


def parameters(function: object) -> set[str]:
    return set(inspect.signature(function).parameters)  # type: ignore[arg-type]


def test_the_version_is_one_of_those_that_are_known() -> None:
    assert aiohttp.__version__.startswith("3.14.")


def test_a_connector_is_asked_for_connections_and_gets_them_back() -> None:
    assert parameters(BaseConnector.connect) == {"self", "req", "traces", "timeout"}
    assert {"protocol", "release", "close"} <= set(dir(Connection))
    assert {"method", "url", "loop", "ssl", "server_hostname"} <= parameters(ClientRequest.__init__)


def test_a_protocol_is_told_how_to_read_and_says_whether_it_may_be_used_again() -> None:
    known = {
        "skip_payload",
        "read_until_eof",
        "auto_decompress",
        "read_timeout",
        "read_bufsize",
        "max_line_size",
        "max_field_size",
        "max_headers",
    }
    assert known <= parameters(ResponseHandler.set_response_params)
    assert {"read", "should_close", "start_timeout", "exception", "transport"} <= set(dir(ResponseHandler))
    assert isinstance(ResponseHandler.read_timeout, property)


def test_a_body_shows_what_has_come_of_it_without_waiting() -> None:
    assert {"_buffer", "_read_nowait", "at_eof", "is_eof", "readany"} <= set(dir(StreamReader))
    assert EMPTY_PAYLOAD.is_eof()


def test_a_writer_chunks_and_waits_for_the_other_side() -> None:
    assert {"enable_chunking", "write", "chunked", "transport"} <= set(dir(StreamWriter))
