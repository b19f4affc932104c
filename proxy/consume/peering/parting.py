"""What concerns several owners, taken apart to them, and their answers put together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from proxy.consume.claim import Held, ids
from proxy.consume.groups.wish import Wish
from proxy.errors import Conflict, LeaseExpired, NotNow, OutcomeUnknown, ProxyError
from proxy.record import Partition
from proxy.seams.groups import AckOutcome

Place = Callable[[Partition], str | None]  # its owner's address


def part_held(held: Held, place: Place) -> dict[str | None, Held]:
    """By owner."""
    parts: dict[str | None, dict[Partition, Any]] = {}
    for partition, ranges in held.items():
        parts.setdefault(place(partition), {})[partition] = ranges
    return dict(parts)


def part_wish(wish: Wish, place: Place) -> dict[str | None, Wish]:
    """By owner; one owner's part has the whole wish's counts, since only their sum is told."""
    named = {field.name: each for field in fields(wish) if isinstance(each := getattr(wish, field.name), Mapping)}
    parts: dict[str | None, dict[str, Held]] = {}
    for name, held in named.items():
        for address, part in part_held(held, place).items():
            parts.setdefault(address, {})[name] = part
    empty: dict[str, Any] = {name: {} for name in named}
    return {address: replace(wish, **{**empty, **part}) for address, part in parts.items()}


def joined(parts: Sequence[Wish], done: Sequence[AckOutcome | BaseException]) -> AckOutcome:
    """One answer to the client, from what became of each part. Raises what stands in the way of it: the worst first."""
    outcomes = [each for each in done if isinstance(each, AckOutcome)]
    conflicts = [each for each in done if isinstance(each, Conflict)]
    others = [each for each in done if isinstance(each, BaseException) and not isinstance(each, Conflict)]
    if others:
        worst = next((each for each in others if not isinstance(each, ProxyError)), others[0])
        if isinstance(worst, NotNow) and (outcomes or conflicts):
            raise OutcomeUnknown("Part of the ack was taken, and part of it not yet. Repeat it: that is harmless.")
        raise worst
    if conflicts:
        raise _conflict(parts, done, conflicts)
    return replace(
        outcomes[0],
        released=sum(each.released for each in outcomes),
        renewed=sum(each.renewed for each in outcomes),
        until_ms=min((each.until_ms for each in outcomes if each.until_ms), default=0),
    )


def _conflict(
    parts: Iterable[Wish], done: Iterable[AckOutcome | BaseException], conflicts: Sequence[Conflict]
) -> Conflict:
    """It tells of every record: also of those whose owners took all that was said of theirs."""
    worst = next((each for each in conflicts if not isinstance(each, LeaseExpired)), conflicts[0])
    told = [_told(part, each) for part, each in zip(parts, done, strict=True)]
    words = dict.fromkeys(word for each in told for word in each)
    return type(worst)(worst.detail, extra={word: [i for each in told for i in each.get(word, ())] for word in words})


def _told(part: Wish, done: AckOutcome | BaseException) -> Mapping[str, Sequence[str]]:
    """By word, the ids: those that were accepted, rejected, refused."""
    if isinstance(done, Conflict) and done.extra:
        return done.extra
    if isinstance(done, Conflict):
        named = (part.accept, part.release, part.reject, part.keep)
        return {"accepted": (), "refused": [name for held in named for name in ids(held)]}
    return {"accepted": ids(part.accept), **({"rejected": ids(part.reject)} if part.reject else {})}
