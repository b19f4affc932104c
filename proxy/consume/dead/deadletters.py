"""Dead letters: what a group's records become that were rejected, or handed out too often.

Laws:
- A dead record is settled only when all in-sync replicas have its letter. Until then it is tried again, with growing
  pauses, and stays open; a partition with very many of them hands out nothing new, rather than lose one.
- The letter is the record, byte for byte, and headers behind its own that say where it came from, how often it was
  handed out, and why it is dead. A topic that takes no such record (it is too large, or has no key and the topic is
  compacted) gets a letter of the headers alone, which says so: nothing is refused for good, so nothing blocks a group.
- A letter may be written twice (no answer in time, another owner): its place tells that it is the same.
"""

import asyncio
from collections.abc import Callable, Sequence

from proxy.clock import Deadline
from proxy.consume.partition.books import Books, Burial, Burials
from proxy.errors import ProxyError, TooLarge, Unprocessable
from proxy.observe.logs import logger
from proxy.record import Receipt, Record
from proxy.seams.produce import Submitter

MOST = 100  # letters on their way at a time, about
WRITE_S = 4.0  # for them: an ack that waits for one sees a second try
RETRY_S = (0.2, 10.0)  # the first pause, and the longest

log = logger("consume")


def letter(burial: Burial, group: str, topic: str) -> Record:
    """The dead record, as it goes to the dead-letter topic."""
    record = burial.run.records[0]
    own = [(name.encode("utf-8", "replace").decode(), value or b"") for name, value in record.headers]
    return Record(topic, record.key, record.value, [*own, *_told(burial, group)])


def notice(burial: Burial, group: str, topic: str, omitted: ProxyError) -> Record:
    """A letter without the record, which the topic would not take."""
    told = [*_told(burial, group), ("stepbridge-dead-omitted", omitted.code.encode())]
    return Record(topic, _place(burial).encode(), b"", told)


def _told(burial: Burial, group: str) -> list[tuple[str, bytes]]:
    run, record = burial.run, burial.run.records[0]
    told = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "group": group,
        "deliveries": run.deliveries,
        "reason": burial.reason,
    }
    return [(f"stepbridge-dead-{name}", str(value).encode()) for name, value in told.items()]


def _place(burial: Burial) -> str:
    record = burial.run.records[0]
    return f"{record.topic}:{record.partition}:{record.offset}"


class DeadLetters:
    """The one task that writes a group's dead letters."""

    def __init__(
        self,
        group: str,
        topic: str,
        books: Books,
        submitter: Submitter,
        *,
        is_owning: asyncio.Event,
        buried: Callable[[], None],
    ) -> None:
        """`buried` is called when some have been written."""
        self._group = group
        self._topic = topic
        self._books = books
        self._submitter = submitter
        self._is_owning = is_owning
        self._buried = buried
        self._wanted = asyncio.Event()

    def ask(self) -> None:
        """There may be some to write."""
        self._wanted.set()

    async def run(self) -> None:
        """Write until cancelled. Should it end otherwise, which is an error of ours, the log says so."""
        try:
            await self._run()
        except Exception as exc:
            log.error("dead_letters_failed", exc=exc, group=self._group, topic=self._topic)
            raise

    async def _run(self) -> None:
        pause_s, longest_s = RETRY_S
        while True:
            await self._wanted.wait()
            await self._is_owning.wait()
            self._wanted.clear()
            burials = self._books.dead(MOST)
            if not burials:
                continue
            self._wanted.set()  # there may be more
            if await self._write(burials):
                pause_s = RETRY_S[0]
                continue
            await asyncio.sleep(pause_s)
            pause_s = min(longest_s, 2 * pause_s)

    async def _write(self, burials: Burials) -> bool:
        """Write letters, and settle those that are written. False: not all are."""
        outcomes = await self._submit([letter(each, self._group, self._topic) for each in burials])
        unfit = [at for at, outcome in enumerate(outcomes) if isinstance(outcome, TooLarge | Unprocessable)]
        if unfit:
            notices = [notice(burials[at], self._group, self._topic, _error(outcomes[at])) for at in unfit]
            for at, outcome in zip(unfit, await self._submit(notices), strict=True):
                outcomes[at] = outcome
        errors = []
        for burial, outcome in zip(burials, outcomes, strict=True):
            if isinstance(outcome, ProxyError):
                errors.append(outcome)
                self._books.put_off(burial)
                continue
            self._books.bury(burial)
            log.info(
                "dead_letter_written",
                group=self._group,
                record=_place(burial),
                reason=str(burial.reason),
                deliveries=burial.run.deliveries,
                to=f"{outcome.topic}:{outcome.partition}:{outcome.offset}",
            )
        if len(errors) < len(burials):
            self._buried()
        if errors:
            log.warning(
                "dead_letters_not_written",
                group=self._group,
                topic=self._topic,
                letters=len(errors),
                reason=errors[0].detail,
                then="they are tried again; their records stay uncommitted until they are written",
            )
        return not errors

    async def _submit(self, letters: Sequence[Record]) -> list[Receipt | ProxyError]:
        return list(await self._submitter.submit_many(letters, Deadline.after(WRITE_S)))


def _error(outcome: Receipt | ProxyError) -> ProxyError:
    assert isinstance(outcome, ProxyError)
    return outcome
