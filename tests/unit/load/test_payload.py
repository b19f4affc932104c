"""What is sent: records of 250 bytes, one or a hundred in a request, and enough different keys."""

from itertools import islice

import orjson
import pytest

from tests.load.loader.payload import (
    BODY_BYTES,
    PAYLOADS,
    RECORDS,
    SKUS,
    STORES,
    event_body,
    stock_body,
    stock_requests,
)


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


@pytest.mark.parametrize("form", ["array", "ndjson"])
def test_a_request_with_many_records_has_a_hundred_of_250_bytes(form: str) -> None:
    for sent in islice(PAYLOADS[form]("/stores/{store}/stock"), STORES):
        body = sent.partition(b"\r\n\r\n")[2]
        records = body.splitlines() if form == "ndjson" else [orjson.dumps(one) for one in orjson.loads(body)]
        assert [len(record) for record in records] == [BODY_BYTES] * RECORDS
        assert {orjson.loads(record)["sku"] for record in records} == set(SKUS)
