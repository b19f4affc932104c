"""What a thread takes away from the event loop: bounded, counted, and whole at the end."""

import threading
from collections.abc import Sequence

from proxy.observe.outbox import Outbox


class Taker:
    """Takes what it is given, once `may` is set."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may = threading.Event()
        self.asked = threading.Event()
        self.answers: list[bool | Exception] = []

    def __call__(self, batch: Sequence[int]) -> bool:
        self.asked.set()
        assert self.may.wait(5)
        self.batches.append(list(batch))
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer


def outbox(taker: Taker, *, limit: int = 100, batch: int = 10, every_s: float = 0.001) -> Outbox[int]:
    return Outbox("test", taker, limit=limit, batch=batch, every_s=every_s)


def test_what_is_put_in_is_delivered_in_order_and_in_batches_before_it_closes() -> None:
    taker = Taker()
    taker.may.set()
    box = outbox(taker, batch=3, every_s=60)
    for number in range(7):
        box.put(number)
    box.close()
    assert taker.batches == [[0, 1, 2], [3, 4, 5], [6]]
    assert (box.delivered, box.failed, box.dropped) == (7, 0, 0)


def test_what_comes_when_it_is_full_is_dropped_and_counted() -> None:
    taker = Taker()
    box = outbox(taker, limit=5, batch=5)
    box.put(0)
    assert taker.asked.wait(5)  # the thread has taken it, and waits
    for number in range(1, 9):
        box.put(number)
    taker.may.set()
    box.close()
    assert [number for batch in taker.batches for number in batch] == [0, 1, 2, 3, 4, 5]
    assert (box.delivered, box.dropped) == (6, 3)


def test_a_batch_that_fails_takes_no_other_with_it() -> None:
    taker = Taker()
    taker.may.set()
    taker.answers = [False, ValueError("boom"), True]
    box = outbox(taker, batch=2, every_s=60)
    for number in range(6):
        box.put(number)
    box.close()
    assert (box.delivered, box.failed) == (2, 4)


def test_closing_waits_no_longer_than_it_is_told() -> None:
    taker = Taker()
    box = outbox(taker)
    box.put(1)
    assert taker.asked.wait(5)
    box.close(within_s=0.01)
    assert taker.batches == []
    taker.may.set()
    box.close()
    assert taker.batches == [[1]]
