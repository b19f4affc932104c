"""Changing a route's stage: one replica takes the change through, and all that are alive take part.

    look        until it is clear who is alive; refuse what is no step, or what the numbers forbid
    announce    and read it back: somebody else's may have been first, and then ours has lost
    gather      until all live replicas are ready, for GATHER_S; judge by the numbers they bring
    activate    and read it back; wait until they have applied it, for APPLY_S. Or else: abandon

Who is alive, who was first and how it ended follows from the order in the topic. If this replica dies in between, the
others abandon the change when they have held its keys for HOLD_S.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex

from proxy.clock import Deadline, now_s, wall_ms
from proxy.errors import OutcomeUnknown, ProxyError
from proxy.migrate import chronicle as words
from proxy.migrate.chronicle import LIVE_S, Change, Confirmation, Outcome, RouteChronicle
from proxy.migrate.control import BEAT_S, WRITE_S, Control
from proxy.migrate.participant import HOLD_S
from proxy.migrate.refusals import ChangeAbandoned, ChangeLost, ControlAway, NoMigration, StepRefused
from proxy.migrate.stages import Setting, forbidden, leaves, steps
from proxy.observe.audit import audit

GATHER_S = HOLD_S * 0.8  # the rest is for the activation to be written and read
APPLY_S = 2.0
COUNT_S = 5.0  # to count what the old service has not seen, while nobody is held
FINISH_S = HOLD_S * 0.4  # of GATHER_S: for a replay to send the last records, where keys leave `kafka`


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants. `accepted`: by name (`gap`, `violations`) the number that shall not forbid it.

    `epoch`: the change must be this one, that is, nothing may have changed since who wants it looked.
    """

    route: str
    setting: Setting
    who: str
    why: str = ""
    accepted: Mapping[str, int] = field(default_factory=dict)
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """A change that was activated: the replicas that serve it, and why each of the others may not."""

    outcome: Outcome
    confirmed: Sequence[str]
    unconfirmed: Mapping[str, str]


class Changing:
    """Takes changes through, one of a route at a time. Every end of a change is in the audit log."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._counts: dict[tuple[str, str], int] = {}

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """How many changes of a route that were asked for here ended how."""
        return self._counts

    async def make(self, wish: Wish) -> Done:
        """Change the stage; returns when every live replica has confirmed, or has had its time.

        Raises:
            NoMigration, StepRefused: nothing was announced.
            ChangeLost: somebody else's change was first, or is under way.
            ChangeAbandoned: it was announced, and did not come; all stages are as they were.
            ControlAway: the topic cannot be read, or written to; nothing was announced, or it will be abandoned.
            OutcomeUnknown: the activation was written and not read back. `/admin/migration` will tell.
        Cancelled while it is under way, the others abandon it.
        """
        try:
            done = await self._make(wish)
        except Exception as error:
            result = getattr(error, "code", "failed")
            self._note(wish, result, reason=str(error))
            raise
        self._note(wish, "activated", epoch=done.outcome.change.epoch, unconfirmed=len(done.unconfirmed))
        return done

    def _note(self, wish: Wish, result: str, **more: object) -> None:
        self._counts[wish.route, result] = self._counts.get((wish.route, result), 0) + 1
        told = {"route": wish.route, "stage": wish.setting.stage, "rollout": wish.setting.rollout, "why": wish.why}
        audit("migration_set", by=wish.who, **told, accepted=dict(wish.accepted), result=result, **more)

    async def _make(self, wish: Wish) -> Done:
        if wish.route not in self._control.terms:
            names = ", ".join(sorted(self._control.terms)) or "none"
            raise NoMigration(f"No route named {wish.route!r} has `migrate`. Those that have: {names}.")
        await self._look_around()
        change = self._change(wish)
        await self._refuse_gap(change)
        await self._announce(change)
        participants = self._control.live()
        reason, numbers = await self._gather(change, participants)
        if reason:
            raise await self._abandoned(change, reason, numbers, participants)
        return await self._activate(change, participants)

    async def _look_around(self) -> None:
        """Until every replica was heard of since now, or counts as gone. At most LIVE_S, and a look more."""
        control, began_s = self._control, now_s()

        def is_clear() -> bool:
            age_s = now_s() - began_s
            return control.is_fresh and not any(age_s < silent_s < LIVE_S for _, silent_s in control.others())

        if not await control.until(is_clear, Deadline.after(LIVE_S + BEAT_S)) and not control.is_fresh:
            raise ControlAway(
                f"This replica ({control.me.id}) does not know as of now what the control topic says, so it can change "
                f"nothing: {control.trouble or 'it has just started'}. Ask another, or try again."
            )

    def _change(self, wish: Wish) -> Change:
        control, route = self._control, self._control.chronicle.route(wish.route)
        before = route.setting or control.standing(wish.route).setting  # ours may be a change behind
        if route.open is not None:
            raise _lost(wish, f"{route.open.who} is changing it to {route.open.setting}. Look again when that is done.")
        if wish.epoch is not None and wish.epoch != route.epoch + 1:
            raise _lost(wish, f"the next change is number {route.epoch + 1}, not {wish.epoch}: look what has changed.")
        if why_not := forbidden(before, wish.setting):
            raise StepRefused(f"Refused: {why_not}.", extra={"stage": before.stage, "rollout": before.rollout})
        return Change(
            id=token_hex(8),
            route=wish.route,
            epoch=route.epoch + 1,
            setting=wish.setting,
            before=before,
            replica=control.me.id,
            who=wish.who,
            why=wish.why,
            at_ms=wall_ms(),
            accepted=dict(wish.accepted),
        )

    # ---- numbers

    async def _refuse_gap(self, change: Change) -> None:
        """Before anybody is held: a gap that no replay is about to close."""
        reason, numbers = await self._gap(change, finish=False)
        if reason:
            raise StepRefused(reason, extra=numbers)

    async def _gap(self, change: Change, *, finish: bool) -> tuple[str, Mapping[str, int]]:
        """Why the records that the old service has not seen forbid it, or ""."""
        figures = self._control.figures
        if not leaves(change.before, change.setting, "kafka"):
            return "", {}
        if figures is None:
            why = "how many records the old service has not seen cannot be told here"
            return ("", {}) if "gap" in change.accepted else (f"Refused: {why}. --accept-gap goes on all the same.", {})
        missed = await figures.missed(change.route, Deadline.after(FINISH_S if finish else COUNT_S), finish=finish)
        if missed.records <= change.accepted.get("gap", 0) or (missed.is_followed and not finish):
            return "", {}
        if missed.is_followed:
            return f"its replay had {missed.records} records left to send when the time was over; it goes on.", {}
        return (
            f"Refused: the old service has not seen {missed.records} records. Send them to it (`stepbridge migrate "
            f"replay {change.route}`), or accept in so many words that it never will (`--accept-gap {missed.records}`)."
        ), {"legacy_missed": missed.records}

    def _violations(self, change: Change, ready: Sequence[Confirmation]) -> tuple[str, Mapping[str, int]]:
        """Why the shadow's violations forbid it, or ""."""
        if not any(step.before == "shadow" and step.rungs > 0 for step in steps(change.before, change.setting)):
            return "", {}
        requests, violations = (sum(getattr(each, name) for each in ready) for name in ("requests", "violations"))
        most = self._control.terms[change.route].max_violations
        if violations <= max(change.accepted.get("violations", 0), most * requests):
            return "", {}
        return (
            f"Refused: {violations} of {requests} requests in the shadow made no valid record, and {most:.4g} of them "
            "may (`max_violations`). Mend what makes them, or accept them in so many words "
            f"(`--accept-violations {violations}`)."
        ), {"requests": requests, "violations": violations}

    # ---- the way through

    async def _announce(self, change: Change) -> None:
        control, route = self._control, self._control.chronicle.route(change.route)
        written = await control.write(*words.announcement(change))
        if not await control.until(lambda: _is_decided(route, change), Deadline.after(WRITE_S if written else 0.2)):
            raise ControlAway(
                f"The announcement could not be written or read back: {control.trouble or 'no answer in time'}. "
                f"Should it appear yet, it will be abandoned."
            )
        if route.open is None or route.open.id != change.id:
            first = route.open or (route.history()[0].change if route.trail else None)
            who = f"{first.who} has changed it to {first.setting}" if first else "somebody else has changed it"
            raise _lost(change, f"{who} first. Look again.")

    async def _gather(self, change: Change, participants: set[str]) -> tuple[str, Mapping[str, int]]:
        """Until all are ready. Why it cannot go on, or ""; and the numbers that are the reason."""
        control, route = self._control, self._control.chronicle.route(change.route)
        deadline = Deadline.after(GATHER_S)
        finish_s = FINISH_S if leaves(change.before, change.setting, "kafka") else 0.0

        def is_over() -> bool:
            return route.epoch >= change.epoch or participants <= _confirming(route, change, "ready").keys()

        await control.until(is_over, Deadline(deadline.at_s - finish_s))
        if route.epoch >= change.epoch:
            return _last_reason(route), {}
        ready = _confirming(route, change, "ready")
        missing = sorted(each for each in participants if each not in ready)
        if missing:
            return f"not ready within {GATHER_S - finish_s:g} s: {', '.join(missing)}.", {}
        reason, numbers = self._violations(change, list(ready.values()))
        if not reason:
            try:
                async with asyncio.timeout(deadline.remaining_s()):
                    reason, numbers = await self._gap(change, finish=True)
            except TimeoutError:
                reason = "how many records the old service has not seen could not be told in time."
            except ProxyError as error:
                reason = f"how many records the old service has not seen could not be told: {error.detail}"
        return reason, numbers

    async def _abandoned(
        self, change: Change, reason: str, numbers: Mapping[str, int], participants: set[str]
    ) -> ChangeAbandoned | StepRefused:
        control, route = self._control, self._control.chronicle.route(change.route)
        if route.epoch < change.epoch:
            await control.write(*words.ending(Outcome("abandoned", change, reason, numbers)))
            await control.until(lambda: route.epoch >= change.epoch, Deadline.after(WRITE_S))
        if numbers:
            return StepRefused(reason, extra=numbers)
        ready = _confirming(route, change, "ready")
        waiting = sorted(each for each in participants if each not in ready)
        inside = control.standing(change.route).inside_concerned
        extra = {"not_ready": waiting, "epoch": change.epoch, "under_way_here": inside}
        return ChangeAbandoned(f"The change was abandoned, and all stages are as they were: {reason}", extra=extra)

    async def _activate(self, change: Change, participants: set[str]) -> Done:
        control, route = self._control, self._control.chronicle.route(change.route)
        await control.write(*words.ending(Outcome("activated", change)))
        if not await control.until(lambda: route.epoch >= change.epoch, Deadline.after(WRITE_S)):
            raise OutcomeUnknown(
                "The activation was written, and not read back in time. See `stepbridge migrate status`."
            )
        outcome = route.last
        if outcome is None or outcome.change.id != change.id:
            raise ChangeAbandoned(f"The change was abandoned, and all stages are as they were: {_last_reason(route)}")
        await control.until(
            lambda: participants <= _confirming(route, change, "applied").keys(), Deadline.after(APPLY_S)
        )
        return self._done(outcome, route)

    def _done(self, outcome: Outcome, route: RouteChronicle) -> Done:
        applied = _confirming(route, outcome.change, "applied")
        late = {each: "was late: it served the stage before for a while" for each in applied if applied[each].is_late}
        silent = {
            each.id: f"has not confirmed, and was last heard of {age_s:.0f} s ago"
            for each, age_s in self._control.others()
            if each.id not in applied
        }
        return Done(outcome, sorted(applied.keys() - late.keys()), late | silent)


def _confirming(route: RouteChronicle, change: Change, kind: str) -> dict[str, Confirmation]:
    """Those that confirm this, by replica; who has applied it was ready."""
    kinds = (kind,) if kind == "applied" else (kind, "applied")
    found = route.confirmations.items()
    return {name: each for name, each in found if each.epoch == change.epoch and each.kind in kinds}


def _is_decided(route: RouteChronicle, change: Change) -> bool:
    return route.open is not None or route.epoch >= change.epoch


def _last_reason(route: RouteChronicle) -> str:
    history = route.history()
    return (history[0].reason if history else "") or "another replica gave it up"


def _lost(wish: Wish | Change, why: str) -> ChangeLost:
    return ChangeLost(f"{wish.route} was not changed to {wish.setting}: {why}")
