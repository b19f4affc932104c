"""What is sent: always 250 bytes, and enough different keys."""

from itertools import islice

import orjson
import pytest

from tests.load.loader.payload import BODY_BYTES, SKUS, event_body, stock_body, stock_requests


@pytest.mark.parametrize("body", [stock_body("a"), stock_body("sku-probe"), event_body(-1, 1), event_body(499, 10**18)])
def test_a_body_is_json_of_exactly_250_bytes(body: bytes) -> None:
    assert len(body) == BODY_BYTES == 250
    assert "sku" in orjson.loads(body)


def test_a_thousand_requests_have_a_thousand_keys() -> None:
    sent = list(islice(stock_requests("/stores/{store}/stock"), 1000))
    keys = {(one.split(b" ")[1], orjson.loads(one.partition(b"\r\n\r\n")[2])["sku"]) for one in sent}
    assert len(keys) == 1000
    assert {path for path, _ in keys} == {b"/stores/%d/stock" % store for store in range(20)}
    assert {sku for _, sku in keys} == set(SKUS)
