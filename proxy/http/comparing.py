"""What the route would have answered, beside what its upstream did: kept until both are there."""

from collections.abc import AsyncIterator

from proxy.http.exchange import Headers
from proxy.migrate.account import Account
from proxy.migrate.compare import MAX_BYTES, Comparer, Skipped
from proxy.seams.upstream import UpstreamAnswer

Answer = tuple[int, Headers, bytes]


class Comparison:
    """Of one request in the sample. Nothing of it is ever the client's trouble."""

    __slots__ = ("_account", "_body", "_comparer", "_headers", "_is_whole", "_size_bytes", "_status", "_would")

    def __init__(self, comparer: Comparer, account: Account, status: int, headers: Headers) -> None:
        self._comparer = comparer
        self._account = account
        self._status = status
        self._headers = headers
        self._body: list[bytes] = []
        self._size_bytes = 0
        self._is_whole = False
        self._would: Answer | None = None

    def tee(self, piece: bytes) -> None:
        """A piece of the upstream's body. What is too large is not compared."""
        self._size_bytes += len(piece)
        if self._size_bytes <= MAX_BYTES:
            self._body.append(piece)

    def answered(self) -> None:
        """The upstream's answer is here as a whole."""
        self._is_whole = True
        self._judge()

    def would(self, answer: Answer) -> None:
        """What the route makes of it."""
        self._would = answer
        self._judge()

    def is_asked_twice(self, method: str) -> bool:
        """Whether the upstream shall answer this request again, to be compared with itself."""
        return self._comparer.asks_twice(method)

    async def read(self, answer: UpstreamAnswer) -> None:
        """Read an answer that no client gets. Raises UpstreamError."""
        async for piece in _pieces(answer):
            self.tee(piece)

    async def repeated(self, answer: UpstreamAnswer) -> None:
        """It has: read it, close it, and learn from it. Raises UpstreamError."""
        try:
            again = b"".join([piece async for piece in _pieces(answer)])
        finally:
            await answer.close()
        if self._size_bytes <= MAX_BYTES:
            self._account.repeated(self._comparer.learn(self._did(), (answer.status, answer.headers, again)))

    def _judge(self) -> None:
        if self._would is None or not self._is_whole:
            return
        if self._size_bytes > MAX_BYTES:
            self._account.compared(Skipped("large"))
            return
        self._account.compared(self._comparer.compare(self._would, self._did()))

    def _did(self) -> Answer:
        return self._status, self._headers, b"".join(self._body)


async def _pieces(answer: UpstreamAnswer) -> AsyncIterator[bytes]:
    """Of a body, as much as is compared."""
    piece, is_whole = answer.ready()
    yield piece
    size_bytes = len(piece)
    while not is_whole and size_bytes <= MAX_BYTES and (piece := await answer.piece()):
        size_bytes += len(piece)
        yield piece
