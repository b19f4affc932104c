"""Claims: what a lease token, or the id of a group stream's event, says. Signed, so that any owner can believe it.

A claim tells which records of which partitions a reader holds, for which group, under which lease and until when.
That is all an owner needs to take an acceptance for records that a former owner handed out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Literal

from proxy.consume.ranges import Range, Ranges
from proxy.consume.token import Kind, Signer
from proxy.consume.varint import Reader, Torn, put, put_text
from proxy.errors import BadToken, FieldInvalid, ForeignToken
from proxy.record import Partition

Held = Mapping[Partition, Sequence[Range]]  # ascending ranges; a gap between records belongs to the one behind it
Selection = Sequence[str] | Literal["all"] | None

MAX_IDS = 1_000  # in one list of an ack; no lease holds more
_MAX_ERRORS = 20  # told of one ack


@dataclass(frozen=True, slots=True)
class Claim:
    """What a reader may accept or give back."""

    group: str
    lease_id: int
    until_ms: int  # wall clock
    records: int  # how many it holds
    held: Held
    stream_id: int = 0  # of the stream it was handed to; 0: a poll

    def seal(self, signer: Signer, kind: Kind = Kind.LEASE) -> str:
        """The token that a client gets."""
        out = self.head(len(self.held))
        for partition, ranges in self.held.items():
            put_partition(out, partition)
            put_ranges(out, ranges)
        return signer.sign(kind, out)

    def head(self, entries: int) -> bytearray:
        """The token's payload up to what is held: so many times a partition and its ranges follow."""
        out = bytearray()
        put_text(out, self.group)
        for number in (self.lease_id, self.until_ms, self.records, self.stream_id, entries):
            put(out, number)
        return out

    @classmethod
    def open(cls, signer: Signer, token: str, *, group: str, kind: Kind = Kind.LEASE) -> "Claim":
        """What a token says. Raises BadToken, ForgedToken, and ForeignToken if it is another group's."""
        reader = Reader(signer.open(kind, token))
        try:
            claim = cls._read(reader)
        except Torn as exc:
            raise BadToken(f"The {kind.word} is of another version of the bridge. Start again without it.") from exc
        if claim.group != group:
            raise ForeignToken(f"The {kind.word} belongs to another group. Send it to the route that it came from.")
        return claim

    @classmethod
    def _read(cls, reader: Reader) -> "Claim":
        group = reader.text()
        lease_id, until_ms, records, stream_id = (reader.number() for _ in range(4))
        held: dict[Partition, Sequence[Range]] = {}
        for _ in range(reader.count()):
            partition = Partition(reader.text(), reader.number())
            ranges = _read_ranges(reader)
            before = held.get(partition)
            held[partition] = list(Ranges([*before, *ranges])) if before else ranges
        reader.end()
        return cls(group, lease_id, until_ms, records, held, stream_id)


def token_bytes(partition: Partition, ranges: int) -> int:
    """About how many a partition with so many ranges takes in a token's payload."""
    return len(partition.topic) + 12 + 4 * ranges


def put_partition(out: bytearray, partition: Partition) -> None:
    put_text(out, partition.topic)
    put(out, partition.partition)


def put_ranges(out: bytearray, ranges: Sequence[Range] | Ranges) -> None:
    put(out, len(ranges))
    edge = 0
    for start, end in ranges:
        put(out, start - edge)
        put(out, end - start)
        edge = end


def _read_ranges(reader: Reader) -> list[Range]:
    ranges, edge = [], 0
    for _ in range(reader.count()):
        start = edge + reader.number()
        edge = start + reader.number()
        ranges.append((start, edge))
    return ranges


def beyond(held: Held, seen: Mapping[Partition, Iterable[Range]]) -> Held:
    """What of `held` is not in `seen`."""
    rest: dict[Partition, list[Range]] = {}
    for partition, ranges in held.items():
        known = Ranges(seen.get(partition, ()))
        left = [part for start, end in ranges for part in known.without(start, end)]
        if left:
            rest[partition] = left
    return rest


# ---- what an ack asks for


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to become of the records of one claim. The counts are records, for the answer."""

    accept: Held
    release: Held
    accepts: int
    releases: int
    reject: Held = field(default_factory=dict)
    rejects: int = 0
    keep: Held = field(default_factory=dict)  # what is left of the claim, if its lease is to be renewed
    renew_ms: int = 0  # from now on


def read_wish(
    claim: Claim, accept: Selection, release: Selection, reject: Selection = None, *, renew_ms: int = 0
) -> Wish:
    """Raises FieldInvalid, with a pointer for each id that cannot be meant; nothing is done then."""
    said = {"accept": accept, "release": release, "reject": reject}
    if "all" in said.values() and (renew_ms or sum(each is not None for each in said.values()) > 1):
        raise FieldInvalid('With "all" for one word there is nothing left for the others: name ids in each.')
    held = {word: _select(claim, selection, word) for word, selection in said.items()}
    for one, other in combinations(said, 2):
        _do_not_meet(held[one], held[other], f"both `{one}` and `{other}`")
    named: dict[Partition, list[Range]] = {}
    for each in held.values():
        for partition, ranges in each.items():
            named.setdefault(partition, []).extend(ranges)
    return Wish(
        accept=held["accept"],
        release=held["release"],
        reject=held["reject"],
        accepts=_count(claim, accept),
        releases=_count(claim, release),
        rejects=_count(claim, reject),
        keep=beyond(claim.held, named) if renew_ms else {},
        renew_ms=renew_ms,
    )


def _do_not_meet(one: Held, other: Held, words: str) -> None:
    for partition in one.keys() & other.keys():
        first = Ranges(one[partition])
        for start, end in other[partition]:
            if first.overlaps(start, end):
                raise FieldInvalid(f"{partition.topic}:{partition.partition}:{start} is in {words}. Name it once.")


def _count(claim: Claim, selection: Selection) -> int:
    return claim.records if selection == "all" else len(set(selection or ()))


def _select(claim: Claim, selection: Selection, word: str) -> Held:
    if selection is None:
        return {}
    if selection == "all":
        return claim.held
    if len(selection) > MAX_IDS:
        raise FieldInvalid(f"`{word}` names {len(selection)} records; a lease holds at most {MAX_IDS}.")
    held = {partition: Ranges(ranges) for partition, ranges in claim.held.items()}
    chosen: dict[Partition, Ranges] = {}
    errors = []
    for index, record_id in enumerate(selection):
        place = read_id(record_id)
        if place is None or place[0] not in held or place[1] not in held[place[0]]:
            errors.append({"pointer": f"/{word}/{index}", "detail": "is no record of this lease"})
            continue
        chosen.setdefault(place[0], Ranges()).add(place[1], place[1] + 1)
    if errors:
        raise FieldInvalid(
            f"{len(errors)} of the ids in `{word}` are not in this lease; nothing was done. Send ids as they came.",
            errors=errors[:_MAX_ERRORS],
        )
    return {partition: list(ranges) for partition, ranges in chosen.items()}


def read_id(record_id: str) -> tuple[Partition, int] | None:
    """`topic:partition:offset`, or None if it is not written like that."""
    topic, _, rest = record_id.partition(":")
    partition, _, offset = rest.partition(":")
    if not (partition.isdecimal() and offset.isdecimal() and len(partition) < 11 and len(offset) < 20):
        return None
    return Partition(topic, int(partition)), int(offset)


def ids(held: Held, limit: int = MAX_IDS) -> list[str]:
    """The ids of offsets, the first `limit` of them; where offsets have gaps, some name no record."""
    every = (
        f"{partition.topic}:{partition.partition}:{offset}"
        for partition, ranges in held.items()
        for start, end in ranges
        for offset in range(start, end)
    )
    return list(islice(every, limit))
