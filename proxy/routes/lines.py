"""Lines out of bytes that come piece by piece, with never more than one unfinished line held.

A line ends with LF, or CR LF, or where the body ends; its bytes are those before that. Lines of white space are no
lines. One that is too long is given up as soon as that shows, and stands as an error where it was.
"""

from proxy.errors import ProxyError, TooLarge

Line = bytes | ProxyError


class LineSplitter:
    """One body's lines."""

    def __init__(self, limit_bytes: int) -> None:
        """`limit_bytes`: of the longest line that is taken, its end not counted."""
        self._limit_bytes = limit_bytes
        self._begun = bytearray()
        self._given_up: ProxyError | None = None  # what stands for the line that is passing by

    def __repr__(self) -> str:
        return f"<LineSplitter holds {self.held_bytes} bytes>"

    @property
    def held_bytes(self) -> int:
        """Bytes of the line that has no end yet."""
        return len(self._begun)

    def feed(self, piece: bytes) -> list[Line]:
        """The lines that end within this piece of the body, in order."""
        head, *ended = piece.split(b"\n")
        self._hold(head)
        if not ended:
            return []
        lines = self.rest()
        self._hold(ended.pop())
        for line in filter(None, ended):
            self._finish(line, lines)
        return lines

    def rest(self) -> list[Line]:
        """The line that the body ends with, if it does not end with a line's end."""
        lines: list[Line] = []
        if self._given_up is not None:
            lines.append(self._given_up)
        else:
            self._finish(bytes(self._begun), lines)
        self._begun.clear()
        self._given_up = None
        return lines

    def give_up(self, error: ProxyError) -> None:
        """Let go of the line that has no end yet, if there is one: this error stands for it."""
        if self._begun:
            self._begun.clear()
            self._given_up = error

    def _hold(self, more: bytes) -> None:
        if self._given_up is None:
            self._begun += more
            if len(self._begun) > self._limit_bytes + 1:  # the one may be a CR
                self.give_up(self._too_large())

    def _finish(self, line: bytes, into: list[Line]) -> None:
        if line[-1:] == b"\r":
            line = line[:-1]
        if len(line) > self._limit_bytes:
            into.append(self._too_large())
        elif line.strip(b" \t\r"):
            into.append(line)

    def _too_large(self) -> TooLarge:
        limit_bytes = self._limit_bytes
        return TooLarge(f"The line is longer than {limit_bytes} bytes.", extra={"limit_bytes": limit_bytes})
