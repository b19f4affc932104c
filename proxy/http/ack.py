"""POST <route>/ack: what a reader did with the records of a lease. 200 comes after the commit that contains it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from proxy.errors import FieldInvalid, FieldMissing, NotJson, Unprocessable
from proxy.http.exchange import NO_STORE, Exchange
from proxy.limits.gate import Gate
from proxy.seams.groups import GroupReader

MAX_IDS = 1_000  # a lease holds no more
MAX_DELAY_MS = 3_600_000
MAX_RENEW_MS = 3_600_000  # at a time; after a change of owner all leases last as long as the longest
WORDS = ("accept", "release", "reject")
KNOWN = ("lease", *WORDS, "delay_ms", "renew_ms")

Selection = list[str] | Literal["all"] | None


@dataclass(frozen=True, slots=True)
class AckEndpoint:
    """The words are KIP-932's (share groups): accept, release, reject, renew."""

    session: GroupReader
    gate: Gate
    max_body_bytes: int

    async def __call__(self, exchange: Exchange) -> None:
        body = await exchange.body(self.max_body_bytes, self.gate)
        self.gate.take(len(body))
        try:
            ack = read_ack(body)
            done = await self.session.acknowledge(
                ack.lease,
                accept=ack.accept,
                release=ack.release,
                reject=ack.reject,
                delay_ms=ack.delay_ms,
                renew_ms=ack.renew_ms,
            )
        finally:
            self.gate.give(len(body))
        answer = {
            "accepted": done.accepted,
            "released": done.released,
            "rejected": done.rejected,
            "renewed": done.renewed,
            **({"lease": done.lease} if done.lease else {}),
        }
        await exchange.answer_json(200, orjson.dumps(answer), [NO_STORE])


@dataclass(frozen=True, slots=True)
class Ack:
    lease: str
    accept: Selection
    release: Selection
    reject: Selection
    delay_ms: int
    renew_ms: int  # 0: as long as it lasts


def read_ack(body: bytes) -> Ack:
    """Raises NotJson, FieldMissing, FieldInvalid, each with the pointer of what is wrong."""
    document = _document(body)
    lease = document.get("lease")
    if not isinstance(lease, str) or not lease:
        raise FieldMissing(
            "`lease` is missing: send the one that came with the records.",
            errors=[{"pointer": "/lease", "detail": "must be the text that came with the records"}],
        )
    accept, release, reject = (_selection(document, word) for word in WORDS)
    renew_ms = _milliseconds(document, "renew_ms", least=1, most=MAX_RENEW_MS)
    _check_together([each for each in (accept, release, reject) if each is not None], renew_ms)
    delay_ms = _milliseconds(document, "delay_ms", least=0, most=MAX_DELAY_MS)
    return Ack(lease, accept, release, reject, delay_ms, renew_ms)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise NotJson(f"The ack is not JSON: {exc}.") from None
    if not isinstance(document, dict):
        raise FieldInvalid('An ack is a JSON object: {"lease": "…", "accept": "all"}.')
    if unknown := sorted(document.keys() - set(KNOWN)):
        raise _invalid(unknown[0], f"`{unknown[0]}` is no word of an ack: {', '.join(KNOWN)} are.")
    return document


def _check_together(said: Sequence[Selection], renew_ms: int) -> None:
    """Something must be said, and "all" can be said but once."""
    if not said and not renew_ms:
        raise FieldMissing(
            "Say what to do with the lease's records: `accept`, `release` or `reject`, "
            '"all" or a list of ids; or `renew_ms`, to keep them.'
        )
    if "all" in said and (renew_ms or len(said) > 1):
        raise FieldInvalid('With "all" for one word there is nothing left for the others: name ids in each.')


def _selection(document: dict[str, Any], word: str) -> Selection:
    value = document.get(word)
    if value is None:
        return None
    if value == "all":
        return "all"
    if isinstance(value, list) and len(value) > MAX_IDS:
        raise _invalid(word, f"`{word}` names {len(value)} records; a lease holds at most {MAX_IDS}.")
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _invalid(word, f'`{word}` must be "all" or a list of record ids.')
    return value


def _milliseconds(document: dict[str, Any], word: str, *, least: int, most: int) -> int:
    """0 if it is not said."""
    value = document.get(word)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _invalid(word, f"`{word}` must be a whole number from {least} to {most}.")
    return value


def _invalid(word: str, detail: str) -> Unprocessable:
    return FieldInvalid(detail, errors=[{"pointer": f"/{word}", "detail": detail}])
