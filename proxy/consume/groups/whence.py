"""Where an operator wants a group to go on: what they may write, and which offset that is in each partition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from proxy.clock import Deadline
from proxy.errors import FieldInvalid
from proxy.record import Partition
from proxy.seams.groups import GroupMember

_LONGEST_OFFSET = 19  # digits


@dataclass(frozen=True, slots=True)
class Whence:
    """`number`: the offset, or the time in milliseconds since the epoch."""

    kind: Literal["begin", "end", "offset", "time"]
    number: int = 0

    @classmethod
    def read(cls, text: str) -> "Whence":
        """`begin`, `end`, an offset, or a time in ISO 8601, in UTC unless it says otherwise. Raises FieldInvalid."""
        if text == "begin":
            return cls("begin")
        if text == "end":
            return cls("end")
        if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_OFFSET:
            return cls("offset", int(text))
        try:
            at = datetime.fromisoformat(text)
            since_ms = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError):
            since_ms = -1
        if since_ms < 0:
            raise FieldInvalid(
                f"`to` is {text!r}: write begin, end, an offset, or a time since 1970 such as 2026-11-22T15:00:00Z."
            )
        return cls("time", since_ms)

    async def offsets(
        self, member: GroupMember, partitions: Sequence[Partition], deadline: Deadline
    ) -> Mapping[Partition, int]:
        """The offset in each partition; the end, where no record is as late as that.

        Raises FieldInvalid for an offset that is not in all of their logs (`extra["ranges"]`), KafkaAway.
        """
        bounds = await member.bounds(partitions, deadline)
        match self.kind:
            case "begin":
                return {partition: begins for partition, (begins, _) in bounds.items()}
            case "end":
                return {partition: ends for partition, (_, ends) in bounds.items()}
            case "offset":
                check_in_log(self.number, bounds, also_end=True)
                return dict.fromkeys(partitions, self.number)
        found = await member.first_since(partitions, self.number, deadline)
        return {partition: found.get(partition, ends) for partition, (_, ends) in bounds.items()}


def check_in_log(offset: int, bounds: Mapping[Partition, tuple[int, int]], *, also_end: bool = False) -> None:
    """Raise FieldInvalid unless all of these logs have the offset. `also_end`: or end there."""
    outside = {p: (begins, ends) for p, (begins, ends) in bounds.items() if not begins <= offset < ends + also_end}
    if not outside:
        return
    told = ", ".join(f"{p.topic}:{p.partition} from {begins} to {ends}" for p, (begins, ends) in outside.items())
    ranges = [
        {"topic": p.topic, "partition": p.partition, "begins": begins, "ends": ends}
        for p, (begins, ends) in outside.items()
    ]
    raise FieldInvalid(
        f"Offset {offset} is outside of the log, which is {told}. Nothing was done.", extra={"ranges": ranges}
    )
