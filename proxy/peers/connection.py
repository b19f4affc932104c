"""One peer connection, from its first byte: the handshake, then messages both ways, then its end.

A message is what msgpack can carry. It is *told*, or *asked* and answered; either side may do both. A side that has
nothing to say sends a sign of life; one from which nothing comes for SILENCE_S is given up, and so is one that does not
take what it is sent: at most MAX_UNSENT_BYTES wait for it.
"""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol, cast

import ormsgpack

from proxy.clock import now_s
from proxy.errors import PeerAway
from proxy.observe.logs import logger
from proxy.peers.frame import BadFrame, Opener, Sealer
from proxy.peers.handshake import Calling, Listening, Stranger
from proxy.tasks import Tasks

HANDSHAKE_S = 5.0
PULSE_S = 1.0
SILENCE_S = 6.0
MAX_UNSENT_BYTES = 64 << 20

_TOLD, _ASKED, _ANSWERED, _ALIVE = range(4)

log = logger("peers")

Handshake = Calling | Listening


class Ear(Protocol):
    """Who hears what comes in on a connection."""

    def opened(self, connection: "Connection") -> None:
        """Both sides know each other."""
        ...

    def told(self, connection: "Connection", message: Any) -> None: ...
    async def asked(self, connection: "Connection", message: Any) -> Any:
        """The answer; None stands for a failure of ours. Cancelled when the connection breaks."""
        ...

    def closed(self, connection: "Connection", reason: str) -> None:
        """Once, whether it was opened or not."""
        ...


class Connection(asyncio.Protocol):
    """`address` is where the other side itself is reached: from its greeting, or what we called."""

    def __init__(self, handshake: Handshake, ear: Ear, address: str = "") -> None:
        self.address = address
        self.is_open = False
        self._handshake = handshake
        self._ear = ear
        self._transport: asyncio.Transport | None = None
        self._sealer = Sealer()
        self._opener = Opener()
        self._unwritten: list[bytes] = []
        self._ids = count()
        self._awaited: dict[int, asyncio.Future[Any]] = {}
        self._answering = Tasks()
        self._heard_s = now_s()
        self._pulse: asyncio.TimerHandle | None = None
        self._reason = "it closed the connection"

    def __repr__(self) -> str:
        return f"<Connection {self.address} {'open' if self.is_open else 'not open'}, {len(self._awaited)} awaited>"

    # ---- what is said

    def tell(self, message: Any) -> bool:
        """Send it. False: it cannot be sent, the connection is not open."""
        if not self.is_open:
            return False
        self._send([_TOLD, message])
        return True

    async def ask(self, message: Any) -> Any:
        """The answer. Raises PeerAway: with `is_sent` if it may have been heard. Cancelled: the answer is dropped."""
        if not self.is_open:
            raise PeerAway(f"The peer {self.address} is not connected.", is_sent=False)
        number = next(self._ids)
        answer = self._awaited[number] = asyncio.get_running_loop().create_future()
        self._send([_ASKED, number, message])
        try:
            return await answer
        finally:
            self._awaited.pop(number, None)

    def close(self, reason: str) -> None:
        """Repeatable. What is not sent yet is dropped."""
        if self._transport is not None and not self._transport.is_closing():
            self._reason = reason
            self._transport.abort()

    def _send(self, frame: list[Any]) -> None:
        """Frames of one step of the loop leave in one write."""
        if not self._unwritten:
            asyncio.get_running_loop().call_soon(self._write)
        self._unwritten.append(self._sealer.frame(ormsgpack.packb(frame)))

    def _write(self) -> None:
        data, self._unwritten = b"".join(self._unwritten), []
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.close("it does not take what it is sent")
        else:
            self._transport.write(data)

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._later(HANDSHAKE_S, self._check_handshake)
        if isinstance(self._handshake, Calling):
            self._transport.write(self._sealer.frame(self._handshake.hello()))

    def data_received(self, data: bytes) -> None:
        self._heard_s = now_s()
        try:
            for payload in self._opener.feed(data):
                if self.is_open:
                    self._hear(payload)
                else:
                    self._greet(payload)
        except (Stranger, BadFrame) as exc:
            self.close(str(exc))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._pulse is not None:
            self._pulse.cancel()
        for answer in self._awaited.values():
            if not answer.done():
                answer.set_exception(PeerAway(f"The connection to the peer {self.address} broke.", is_sent=True))
        self._answering.cancel()
        self._ear.closed(self, str(exc) if exc else self._reason)

    # ---- handshake

    def _greet(self, payload: bytes) -> None:
        assert self._transport is not None
        shake = self._handshake
        if isinstance(shake, Calling):
            proof, keys = shake.answer(payload)
            self._transport.write(self._sealer.frame(proof))
            self._open(keys.from_caller, keys.from_listener)
        elif not shake.address:
            self._transport.write(self._sealer.frame(shake.challenge(payload)))
        else:
            self.address = shake.address
            keys = shake.accept(payload)
            self._open(keys.from_listener, keys.from_caller)

    def _open(self, ours: bytes, theirs: bytes) -> None:
        self._sealer = Sealer(ours)
        self._opener.expect(theirs)
        self.is_open = True
        self._later(PULSE_S, self._beat)
        self._ear.opened(self)

    def _check_handshake(self) -> None:
        self.close("it did not finish its greeting in time")

    # ---- messages

    def _hear(self, payload: bytes) -> None:
        try:
            kind, *rest = ormsgpack.unpackb(payload)
            if kind == _TOLD:
                self._ear.told(self, rest[0])
            elif kind == _ASKED:
                self._answer_later(rest[0], rest[1])
            elif kind == _ANSWERED and (answer := self._awaited.get(rest[0])) and not answer.done():
                answer.set_result(rest[1])
        except (ValueError, TypeError, IndexError, KeyError) as exc:
            log.error("peer_message_unreadable", peer=self.address, exc=exc)
            raise BadFrame("a message could not be read") from exc

    def _answer_later(self, number: int, message: Any) -> None:
        async def answer() -> None:
            try:
                said = await self._ear.asked(self, message)
            except Exception as exc:  # noqa: BLE001 - whatever it is, the asker must not wait for it
                log.error("peer_question_failed", peer=self.address, exc=exc)
                said = None
            self._send([_ANSWERED, number, said])

        self._answering.begin(answer(), name=f"answer peer {self.address}")

    # ---- signs of life

    def _beat(self) -> None:
        if now_s() - self._heard_s > SILENCE_S:
            self.close(f"nothing came from it for {SILENCE_S:g} s")
            return
        self._send([_ALIVE])
        self._later(PULSE_S, self._beat)

    def _later(self, after_s: float, call: Callable[[], None]) -> None:
        if self._pulse is not None:
            self._pulse.cancel()
        self._pulse = asyncio.get_running_loop().call_later(after_s, call)
