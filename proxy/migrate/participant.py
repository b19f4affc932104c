"""One route's part in this process: does to its `Standing` what the chronicle says, and confirms it.

It goes by what the chronicle says now, not by what has just come: so it does not matter what was missed in between.

    a change is open        hold its keys, settle, confirm that we are ready; after HOLD_S write that it is abandoned
    its outcome is there    abandoned: go on as before. Activated: once settled, go on at the new stage, confirm that
    the topic is stale      hold nobody, at the stage there was; whatever comes then, we confirm it as late

Being late is not hidden by having caught up: whoever asked for the change reads who served the old stage meanwhile.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from proxy.clock import now_s
from proxy.migrate.chronicle import Change, Confirmation, Outcome, RouteChronicle
from proxy.migrate.stages import Setting
from proxy.migrate.standing import WAIT_S, Standing
from proxy.observe.logs import logger
from proxy.tasks import Tasks

HOLD_S = WAIT_S

log = logger("migrate")


@dataclass(frozen=True, slots=True)
class Voice:
    """How a participant is heard: each returns once it is written, or has failed and is logged."""

    confirm: Callable[[Confirmation], Coroutine[Any, Any, None]]
    abandon: Callable[[Outcome], Coroutine[Any, Any, None]]
    shadowed: Callable[[str], tuple[int, int]]


class Participant:
    """See the head of this file. `tell` says what is new; `run` sees to the rest until it is cancelled."""

    def __init__(self, replica: str, standing: Standing, chronicle: RouteChronicle, voice: Voice) -> None:
        self.standing = standing
        self.is_fresh = False  # the topic is read, as of a moment ago
        self.is_ours = False  # our configuration has the route
        self._replica = replica
        self._chronicle = chronicle
        self._voice = voice
        self._news = asyncio.Event()
        self._settling: asyncio.Task[None] | None = None
        self._held = ""  # id of the change whose keys are held
        self._held_s = 0.0
        self._ready = ""  # id of the change for which we said we were ready
        self._late = ""  # id of the change in which we gave up holding
        self._complained = ""
        self._telling = Tasks()

    def __repr__(self) -> str:
        return f"<Participant in {self.standing}>"

    def adopt(self, file: Setting) -> None:
        """Our configuration has the route now. Until a change was activated its setting counts."""
        self.is_ours = True
        if self._chronicle.setting is None and file != self.standing.setting:
            self.standing.setting = file
            self._held = ""  # what the change concerns is to be found anew
        self._act()

    def tell(self, *, is_fresh: bool) -> None:
        """The chronicle has changed, or whether we know it."""
        if not is_fresh and self.is_fresh:
            self._give_up()
        elif is_fresh and not self.standing.is_known:
            self.standing.know(self._chronicle.setting or self.standing.setting, self._chronicle.epoch)
        self.is_fresh = is_fresh
        self._act()

    async def run(self) -> None:
        try:
            while True:
                self._news.clear()
                self._act()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._patience_s()):
                        await self._news.wait()
        finally:
            self._stop_settling()
            self._telling.cancel()

    # ---- decisions

    def _act(self) -> None:
        """Nothing is awaited: no request passes between what was read and what follows from it."""
        chronicle, standing = self._chronicle, self.standing
        if not self.is_fresh:
            return
        if chronicle.epoch > standing.epoch:
            self._carry_out(chronicle.setting or standing.setting)
        elif chronicle.open is not None:
            self._get_ready(chronicle.open)

    def _get_ready(self, change: Change) -> None:
        if self._held != change.id:
            self._hold(change.id, change.setting)
        elif self._settling is not None and self._settling.done():
            settling, self._settling = self._settling, None
            if error := settling.exception():
                self._abandon(change, f"{self._replica} could not write what is in its shadow's queue: {error}")
                return
            self._ready = change.id
            self._confirm("ready", change.epoch)
        if now_s() - self._held_s >= HOLD_S:
            self._abandon(change, f"not everybody was ready, or the change not activated, within {HOLD_S:g} s")

    def _carry_out(self, setting: Setting) -> None:
        """The outcome of one or more changes is known."""
        epoch, last = self._chronicle.epoch, self._chronicle.last
        is_activated = last is not None and last.change.epoch == epoch
        if setting != self.standing.setting and not self._is_settled_for(setting):
            return
        self._stop_settling()
        self.standing.know(setting, epoch)
        if is_activated and last is not None:
            self._confirm("applied", epoch, is_late=self._ready != last.change.id or self._late == last.change.id)

    def _is_settled_for(self, setting: Setting) -> bool:
        """True once nothing is under way any longer of the keys that go to `setting`."""
        if self.standing.coming != setting:
            self._hold("", setting)
        if self._settling is None:  # it was done, and we were ready
            return True
        if self._settling.done():
            if (error := self._settling.exception()) is not None:  # the others have gone on: so must we
                log.error("shadow_not_flushed", route=self.standing.route, reason=repr(error))
            return True
        return False

    # ---- deeds

    def _hold(self, change_id: str, setting: Setting) -> None:
        self._stop_settling()
        self._held, self._held_s = change_id, now_s()
        self.standing.announce(setting)
        self._settling = asyncio.create_task(self.standing.settle(), name=f"settle {self.standing.route}")
        self._settling.add_done_callback(lambda _: self._news.set())

    def _give_up(self) -> None:
        if self.standing.coming is not None:
            self._late = self._held or self._late
            self._held = ""
            self._stop_settling()
            self.standing.resume()
            log.warning("stage_kept", route=self.standing.route, stage=str(self.standing.setting), reason="topic stale")

    def _stop_settling(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None

    def _abandon(self, change: Change, reason: str) -> None:
        if self._complained != change.id:
            self._complained = change.id
            numbers = {"inside": self.standing.inside_concerned}
            self._say(self._voice.abandon(Outcome("abandoned", change, reason, numbers)))

    def _confirm(self, kind: Literal["ready", "applied"], epoch: int, *, is_late: bool = False) -> None:
        route = self.standing.route
        requests, violations = self._voice.shadowed(route)
        confirmation = Confirmation(kind, self._replica, route, epoch, is_late, requests, violations)
        self._say(self._voice.confirm(confirmation))

    def _say(self, telling: Coroutine[Any, Any, None]) -> None:
        self._telling.begin(telling, name=f"tell of {self.standing.route}")

    def _patience_s(self) -> float | None:
        if self._held and self._complained != self._held and self.standing.coming is not None:
            return max(0.0, self._held_s + HOLD_S - now_s())
        return None
