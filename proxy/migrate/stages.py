"""The ladder `legacy → shadow → dual → kafka`, and which key stands on which rung. Pure.

A route stands at a `Setting`: a stage and the share of the keys that are on it; the rest are one rung below. Each key
has a place from 0 to 9,999 that follows from its bytes alone, in all processes and for ever; keys whose place is below
the share are on the stage. So while the share only rises, a key climbs once and never comes back.

What has no key has the last place: it climbs when all keys have.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final, Literal

from proxy.config.rollout import PLACES, read_rollout

Stage = Literal["legacy", "shadow", "dual", "kafka"]
STAGES: Final[tuple[Stage, ...]] = ("legacy", "shadow", "dual", "kafka")

KEYLESS = PLACES - 1


def place_of(key: bytes | None) -> int:
    """Where a key stands among all keys: from 0 to PLACES - 1, evenly spread (RFC 7693's BLAKE2b). About 1 µs."""
    if key is None:
        return KEYLESS
    return int.from_bytes(blake2b(key, digest_size=8).digest()) % PLACES


@dataclass(frozen=True, slots=True)
class Setting:
    """A stage, and the share of the keys on it: `share` of PLACES, from 1 to PLACES. At `legacy` all keys are."""

    stage: Stage
    share: int = PLACES

    def __post_init__(self) -> None:
        if not 1 <= self.share <= PLACES:
            raise ValueError(f"a share of {self.share / 100:g}% is none: write more than 0% and at most 100%")
        if self.stage == "legacy" and self.share != PLACES:
            raise ValueError("there is no stage below legacy for the rest of the keys: leave the rollout out")

    def __str__(self) -> str:
        return self.stage if self.share == PLACES else f"{self.stage} {self.rollout}"

    @classmethod
    def read(cls, stage: str, rollout: str | None = None) -> "Setting":
        """From the words of the file, the command line or the control topic. Raises ValueError, for people."""
        if stage not in STAGES:
            raise ValueError(f"{stage!r} is no stage: write one of {', '.join(STAGES)}")
        return cls(stage, read_rollout(rollout) if rollout is not None else PLACES)

    @property
    def rollout(self) -> str:
        """The share as it is written: 25%, 0.5%."""
        return f"{self.share / 100:g}%"

    @property
    def below(self) -> Stage:
        """Where the rest of the keys are; legacy itself at legacy."""
        return STAGES[max(0, STAGES.index(self.stage) - 1)]

    def stage_at(self, place: int) -> Stage:
        """The stage of the keys at that place."""
        return self.stage if place < self.share else self.below

    def stage_of(self, key: bytes | None) -> Stage:
        """The stage of a key. Costs the hash only while the share is a part."""
        return self.stage if self.share == PLACES else self.stage_at(place_of(key))

    def as_json(self) -> dict[str, Any]:
        return {"stage": self.stage, "rollout": self.rollout}


@dataclass(frozen=True, slots=True)
class Step:
    """A change from one setting to another, as it is for the keys from place `begins` up to, not with, `ends`."""

    begins: int
    ends: int
    before: Stage
    after: Stage

    @property
    def rungs(self) -> int:
        """How many rungs they climb; below 0 they descend."""
        return STAGES.index(self.after) - STAGES.index(self.before)


def steps(old: Setting, new: Setting) -> Iterator[Step]:
    """The keys that change their stage, in runs of places that change alike."""
    marks = sorted({0, old.share, new.share, PLACES})
    for begins, ends in pairwise(marks):
        before, after = old.stage_at(begins), new.stage_at(begins)
        if before != after:
            yield Step(begins, ends, before, after)


def forbidden(old: Setting, new: Setting) -> str | None:
    """Why one change does not lead from `old` to `new`; None: it does.

    No key climbs more than one rung at a time, since each rung shows what the next one would meet. Down is any way.
    """
    for step in steps(old, new):
        if step.rungs > 1:
            share = f"{(step.ends - step.begins) / 100:g}%"
            return (
                f"from {old} to {new}, {share} of the keys would go from {step.before} to {step.after}: "
                f"a key climbs one rung at a time. Go to {STAGES[STAGES.index(step.before) + 1]} with all of them first"
            )
    return None


def leaves(old: Setting, new: Setting, stage: Stage) -> bool:
    """True if some keys descend from `stage`."""
    return any(step.before == stage and step.rungs < 0 for step in steps(old, new))
