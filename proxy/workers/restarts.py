"""When a worker that died starts again: at once, but not for ever."""

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 8.0
SETTLED_S = 30.0  # whoever ran so long has not died of its start


class Restarts:
    """The deaths in one slot, one after the other. Pure."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def pause_s(self, ran_s: float) -> float:
        """A worker died that had run `ran_s`: how long to wait for its successor's start.

        Nothing the first time, then twice as long each time, up to LONGEST_PAUSE_S.
        """
        self._in_a_row = 0 if ran_s >= SETTLED_S else self._in_a_row
        self._in_a_row += 1
        return min(FIRST_PAUSE_S * 2.0 ** min(self._in_a_row - 2, 20), LONGEST_PAUSE_S) if self._in_a_row > 1 else 0.0
