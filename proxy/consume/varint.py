"""Numbers as varints (LEB128, 7 bits a byte, low first): small numbers take one byte, and none more than ten.

What is read may come from anyone: every count and length is held against what is left before it is believed.
"""

LIMIT = 1 << 64  # numbers are below this: offsets, milliseconds, random ids
_LONGEST = 10  # bytes


class Torn(ValueError):
    """The bytes end in the middle, or hold a number that nobody writes."""


def put(out: bytearray, number: int) -> None:
    """Append `number`, 0 <= number < 2**64."""
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def put_text(out: bytearray, text: str) -> None:
    """Append a text: the length of its UTF-8 in bytes, then the bytes."""
    data = text.encode()
    put(out, len(data))
    out += data


class Reader:
    """Reads what `put` and `put_text` wrote. Raises Torn, and never anything else, for any bytes."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._at

    def number(self) -> int:
        value = shift = 0
        for byte in self._data[self._at : self._at + _LONGEST]:
            self._at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                if value >= LIMIT:
                    break
                return value
            shift += 7
        raise Torn("a number does not end, or is too large")

    def count(self) -> int:
        """How many items follow, each at least a byte: never more than there are bytes left."""
        count = self.number()
        if count > self.left:
            raise Torn(f"{count} items are announced, and {self.left} bytes are left")
        return count

    def text(self) -> str:
        length = self.count()
        data = self._data[self._at : self._at + length]
        self._at += length
        try:
            return data.decode()
        except UnicodeDecodeError as exc:
            raise Torn("a text is not UTF-8") from exc

    def end(self) -> None:
        """Nothing may follow."""
        if self.left:
            raise Torn(f"{self.left} bytes follow the end")
