"""One long-poll reader that reads a topic to its end and counts every record once."""

import time
from collections.abc import Callable
from typing import Any

import orjson

from tests.load.loader.http1 import Answer, Exchange, WrongAnswer, next_page, request


async def drain(
    port: int, target: str, *, expected: int, timeout_s: float, cpu_before_s: float, cpu_s: Callable[[], float]
) -> dict[str, Any]:
    """Poll until `expected` different records were seen; acknowledge every answer that has a lease.

    Follows `Link: rel=next` where the server gives one. The server's CPU counts from `cpu_before_s` (when it was
    ready, so that what it fetched before the first poll is not free) to the last answer.

    Raises:
        WrongAnswer: a status other than 200, a record that is not what was written, or no end in time.
    """
    exchange = await Exchange.open(port)
    path = target.partition("?")[0]
    seen: set[tuple[int, int]] = set()
    delivered = polls = 0
    start_s, own_start_s = time.perf_counter(), time.process_time()
    while len(seen) < expected:
        if time.perf_counter() - start_s > timeout_s:
            raise WrongAnswer(f"only {len(seen)} of {expected} records in {timeout_s:.0f} s")
        answer = await ask(exchange, request("GET", target, Prefer="wait=5"))
        page = orjson.loads(answer.body)
        seen.update((record["partition"], record["offset"]) for record in page["records"])
        delivered += len(page["records"])
        polls += 1
        check_values(page["records"])
        if page.get("lease") and page["records"]:
            ack = orjson.dumps({"lease": page["lease"], "accept": "all"})
            await ask(exchange, request("POST", path + "/ack", ack))
        target = next_page(answer.headers) or target
    seconds, used_s = time.perf_counter() - start_s, cpu_s() - cpu_before_s
    exchange.close()
    return {
        "records": len(seen),
        "repeated": delivered - len(seen),
        "polls": polls,
        "seconds": seconds,
        "per_s": len(seen) / seconds,
        "cpu_s_per_10k": used_s / len(seen) * 10_000,
        "loader_busy": (time.process_time() - own_start_s) / seconds,
    }


async def ask(exchange: Exchange, data: bytes) -> Answer:
    answer = await exchange.ask(data)
    if answer.status != 200:
        line = data.partition(b"\r\n")[0].decode()
        raise WrongAnswer(f"{line}: {answer.status} {answer.body[:300].decode(errors='replace')}")
    return answer


def check_values(records: list[dict[str, Any]]) -> None:
    """Each value is the JSON that was written, under the key that was written."""
    for record in records:
        value = record["value"]
        if not isinstance(value, dict) or str(record["key"]).partition(":")[2] != value.get("sku"):
            raise WrongAnswer(f"this record is not as it was written: {record}")
