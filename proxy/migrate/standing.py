"""Where one route stands in this process, and who passes while that changes.

Each request enters with its key, is told the stage that serves it, and leaves. A change goes like this:

    announced   requests of keys that change their stage wait; the others pass as ever
    settled     the last of those keys that came before has left, and the shadow's queue of them is written
    activated   the waiting go on, at the new stage          or          abandoned: at the old one

So in one process no key is at two stages at once. What makes it so among all processes is `control.py`, which alone
calls the second half of this class. A request waits for at most WAIT_S and is then refused; nothing was done with it.
A process that has not read the control topic yet knows no stage, and holds every key.
"""

import asyncio
from collections.abc import Awaitable, Callable

from proxy.errors import StageChanging, StageUnknown
from proxy.migrate.stages import Setting, Stage, place_of, steps

WAIT_S = 2.0

Flush = Callable[[], Awaitable[None]]


class Passage:
    """A request under way at a stage, until it leaves."""

    __slots__ = ("_standing", "key", "stage")

    def __init__(self, stage: Stage, key: bytes | None, standing: "Standing") -> None:
        self.stage = stage
        self.key = key
        self._standing = standing

    def __repr__(self) -> str:
        return f"<Passage at {self.stage}>"

    def leave(self) -> None:
        """What the request did is done: answered, and written or in the shadow's queue. Repeatable."""
        self._standing.left(self)


class Standing:
    """One route's stage in this process. All methods belong to one event loop."""

    def __init__(self, route: str, file: Setting) -> None:
        """`file`: what the configuration says, until the control topic says otherwise."""
        self.route = route
        self.setting = file
        self.epoch = 0  # of the last change, in force or abandoned; 0: the file's setting
        self.is_known = False  # the control topic was read, or there is none to ask
        self.coming: Setting | None = None  # announced
        self.on_flush: Flush | None = None
        self.waiting = 0  # requests that are held
        self._inside: set[Passage] = set()
        self._concerned: list[range] = []  # the places that wait
        self._changed: asyncio.Event | None = None  # made when somebody waits
        self._left: asyncio.Event | None = None  # made when `settle` waits

    def __repr__(self) -> str:
        state = f"to {self.coming}" if self.coming else "" if self.is_known else "not known"
        return f"<Standing {self.route} {self.setting} {state} epoch {self.epoch}, {len(self._inside)} inside>"

    @property
    def inside(self) -> int:
        """Requests under way."""
        return len(self._inside)

    @property
    def inside_concerned(self) -> int:
        """Requests under way whose keys are about to change their stage."""
        return sum(self._is_concerned(passage.key) for passage in self._inside)

    # ---- for the endpoint

    def stage_for(self, key: bytes | None) -> Stage:
        """The stage of a key as it is now. Whoever acts on it enters instead."""
        return self.setting.stage_of(key)

    async def enter(self, key: bytes | None) -> Passage:
        """Pass, at the stage that serves this key; `leave` when all is done. Costs nothing while nothing changes.

        Raises:
            StageChanging: the key's stage was still changing after WAIT_S.
            StageUnknown: the control topic was not read by then.
        Cancelled while it waits: nothing is left behind.
        """
        if (self._concerned or not self.is_known) and self._is_held(key):
            await self._wait(key)
        passage = Passage(self.setting.stage_of(key), key, self)
        self._inside.add(passage)
        return passage

    def left(self, passage: Passage) -> None:
        """See `Passage.leave`."""
        self._inside.discard(passage)
        if self._left is not None:
            self._left.set()

    def _is_held(self, key: bytes | None) -> bool:
        return not self.is_known or self._is_concerned(key)

    def _is_concerned(self, key: bytes | None) -> bool:
        if not self._concerned:
            return False
        place = place_of(key)
        return any(place in places for places in self._concerned)

    async def _wait(self, key: bytes | None) -> None:
        self.waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                while self._is_held(key):
                    self._changed = self._changed or asyncio.Event()
                    await self._changed.wait()
        except TimeoutError:
            if not self.is_known:
                raise StageUnknown(
                    "The bridge has not read yet at which stage of its migration this route is. Try again."
                ) from None
            raise StageChanging(
                "The route is changing the stage of its migration, and nothing was done. Try again."
            ) from None
        finally:
            self.waiting -= 1

    # ---- for the control

    def know(self, setting: Setting, epoch: int) -> None:
        """This is the setting in force. Ends any wait."""
        self.setting, self.epoch, self.is_known = setting, epoch, True
        self._release()

    def announce(self, coming: Setting) -> None:
        """Hold the keys that will change their stage, from now on. Again: the same keys stay held."""
        self.coming = coming
        self._concerned = [range(step.begins, step.ends) for step in steps(self.setting, coming)]
        self._tell()

    async def settle(self) -> None:
        """Wait until no request of the keys held is under way and the shadow's queue is flushed.

        Raises what `on_flush` raises. May be cancelled.
        """
        while self.inside_concerned:
            self._left = asyncio.Event()
            await self._left.wait()
        self._left = None
        if self._concerned and self.on_flush is not None:
            await self.on_flush()

    def abandon(self, epoch: int) -> None:
        """The change does not come; the waiting go on at the stage they were."""
        self.epoch = epoch
        self._release()

    def resume(self) -> None:
        """Hold nobody any longer although the outcome is not known: the control topic cannot be read."""
        self._release()

    def _release(self) -> None:
        self.coming, self._concerned = None, []
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()
