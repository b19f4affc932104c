"""POST <route>/ack: what a reader did with the records of a lease. 200 comes after the commit that contains it."""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from proxy.errors import FieldInvalid, FieldMissing, NotJson, Unprocessable
from proxy.http.consume import NO_STORE
from proxy.http.exchange import Exchange
from proxy.limits.gate import Gate
from proxy.seams import GroupReader

MAX_IDS = 1_000  # a lease holds no more
MAX_DELAY_MS = 3_600_000
NOT_YET = ("reject", "renew_ms")
KNOWN = {"lease", "accept", "release", "delay_ms", *NOT_YET}

Selection = list[str] | Literal["all"] | None


@dataclass(frozen=True, slots=True)
class AckEndpoint:
    """The words are KIP-932's (share groups): accept, release."""

    session: GroupReader
    gate: Gate
    max_body_bytes: int

    async def __call__(self, exchange: Exchange) -> None:
        body = await exchange.body(self.max_body_bytes, self.gate)
        self.gate.take(len(body))
        try:
            ack = read_ack(body)
            done = await self.session.acknowledge(
                ack.lease, accept=ack.accept, release=ack.release, delay_ms=ack.delay_ms
            )
        finally:
            self.gate.give(len(body))
        answer = orjson.dumps({"accepted": done.accepted, "released": done.released})
        await exchange.answer_json(200, answer, [NO_STORE])


@dataclass(frozen=True, slots=True)
class Ack:
    lease: str
    accept: Selection
    release: Selection
    delay_ms: int


def read_ack(body: bytes) -> Ack:
    """Raises NotJson, FieldMissing, FieldInvalid, each with the pointer of what is wrong."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise NotJson(f"The ack is not JSON: {exc}.") from None
    if not isinstance(document, dict):
        raise FieldInvalid('An ack is a JSON object: {"lease": "…", "accept": "all"}.')
    unknown = sorted(document.keys() - KNOWN)
    if unknown:
        raise _invalid(unknown[0], f"`{unknown[0]}` is no word of an ack: lease, accept, release, delay_ms are.")
    for word in NOT_YET:
        if document.get(word) is not None:
            raise _invalid(word, f"`{word}` is not in this version.")
    lease = document.get("lease")
    if not isinstance(lease, str) or not lease:
        raise FieldMissing(
            "`lease` is missing: send the one that came with the records.",
            errors=[{"pointer": "/lease", "detail": "must be the text that came with the records"}],
        )
    ack = Ack(lease, _selection(document, "accept"), _selection(document, "release"), _delay_ms(document))
    if ack.accept is None and ack.release is None:
        raise FieldMissing('Say what to do with the lease\'s records: `accept` or `release`, "all" or a list of ids.')
    if (ack.accept == "all" and ack.release is not None) or (ack.release == "all" and ack.accept is not None):
        raise FieldInvalid('With "all" for the one there is nothing left for the other: name ids in both.')
    return ack


def _selection(document: dict[str, Any], word: str) -> Selection:
    value = document.get(word)
    if value is None:
        return None
    if value == "all":
        return "all"
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _invalid(word, f'`{word}` must be "all" or a list of record ids.')
    if len(value) > MAX_IDS:
        raise _invalid(word, f"`{word}` names {len(value)} records; a lease holds at most {MAX_IDS}.")
    return value


def _delay_ms(document: dict[str, Any]) -> int:
    value = document.get("delay_ms", 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_DELAY_MS:
        raise _invalid("delay_ms", f"`delay_ms` must be a whole number from 0 to {MAX_DELAY_MS}.")
    return value


def _invalid(word: str, detail: str) -> Unprocessable:
    return FieldInvalid(detail, errors=[{"pointer": f"/{word}", "detail": detail}])
