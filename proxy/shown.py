"""Bytes of a record as JSON can carry them: text where they are UTF-8, else base64. The same for all who are told."""

from base64 import b64encode
from typing import Literal


def text_or_base64(data: bytes) -> tuple[Literal["text", "base64"], str]:
    """Which of the two, and the bytes as that. Never raises."""
    try:
        return "text", data.decode()
    except UnicodeDecodeError:
        return "base64", b64encode(data).decode("ascii")


def shown_bytes(data: bytes | None) -> str | dict[str, str] | None:
    """A key, or a header's value: text, `{"base64": …}`, or None, since Kafka has both without a value."""
    if data is None:
        return None
    encoding, text = text_or_base64(data)
    return text if encoding == "text" else {"base64": text}
