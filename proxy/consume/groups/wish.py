"""What an ack asks for: some of a claim's records accepted, some released, some rejected, the rest renewed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from proxy.consume.claim import MAX_IDS, Claim, Held, beyond, read_id
from proxy.consume.ranges import Range, Ranges
from proxy.errors import FieldInvalid
from proxy.record import Partition

Selection = Sequence[str] | Literal["all"] | None

_MAX_ERRORS = 20  # told of one ack


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
