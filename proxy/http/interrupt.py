"""What ends a wait: the client goes, the time is over, or an end comes that many share."""

import asyncio
from types import TracebackType

from proxy.http.end import End
from proxy.http.exchange import Admission, ClientGone, Exchange


class Interrupt:
    """Ends what is awaited inside it as soon as the client has gone, `end` is done, or the time is over.

    Raises ClientGone in the first case; else it just leaves the block, and `reason` says why: the result of `end`, or
    `lifetime`. With an `admission` so it does when the caller is not let in any more: `revoked`, `expired`. No task is
    made for it: the request's own task is cancelled and caught here.
    """

    __slots__ = ("_ends", "_fired", "_gone", "_inside", "_task", "_timer", "_when_over", "_within_s", "reason")

    def __init__(
        self,
        exchange: Exchange,
        end: End | asyncio.Future[None],
        within_s: float | None = None,
        admission: Admission | None = None,
    ) -> None:
        self.reason: str | None = None
        self._gone = exchange.connection.gone()
        self._ends = (end,) if admission is None else (end, admission.standing)
        self._within_s, self._when_over = _sooner(within_s, admission)
        self._timer: asyncio.TimerHandle | None = None
        self._task = asyncio.current_task()
        self._fired = False
        self._inside = False

    def __enter__(self) -> "Interrupt":
        self._inside = True
        self._gone.add_done_callback(self._fire)
        for end in self._ends:
            end.add_done_callback(self._fire)
        if self._within_s is not None:
            self._timer = asyncio.get_running_loop().call_later(self._within_s, self._fire)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        self._inside = False
        self._gone.remove_done_callback(self._fire)
        for end in self._ends:
            end.remove_done_callback(self._fire)
        if self._timer is not None:
            self._timer.cancel()
        if not self._fired:
            return False
        assert self._task is not None
        if self._task.uncancel() > 0 or not (kind is None or issubclass(kind, asyncio.CancelledError)):
            return False
        if self._gone.done():
            raise ClientGone
        self.reason = next((end.result() or "" for end in self._ends if end.done()), self._when_over)
        return True

    def _fire(self, _: object = None) -> None:
        if self._inside and not self._fired and self._task is not None:
            self._fired = True
            self._task.cancel()


def _sooner(within_s: float | None, admission: Admission | None) -> tuple[float | None, str]:
    """How long it may last, and what it is called when that is over."""
    left_s = admission.left_s() if admission is not None else None
    if left_s is None or (within_s is not None and within_s < left_s):
        return within_s, "lifetime"
    return left_s, "expired"
