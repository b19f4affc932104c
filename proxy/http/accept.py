"""Which of our media types a client wants (RFC 9110, 12.5.1)."""

from collections.abc import Sequence
from functools import lru_cache

from proxy.errors import NotAcceptable


@lru_cache(maxsize=256)
def choose(accept: bytes | None, offered: Sequence[str]) -> str:
    """The offered type the client prefers; among equals the first. Raises NotAcceptable with the list of all.

    A range that cannot be read is passed over, as browsers and curl expect of servers.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [r for part in accept.decode("latin-1").split(",") if (r := _range(part))]
    best, quality = max(((media, _quality(media, ranges)) for media in offered), key=lambda pair: pair[1])
    if quality <= 0:
        raise NotAcceptable(f"There is {', '.join(offered)} here; the Accept header takes none of them.")
    return best


def _range(part: str) -> tuple[str, float] | None:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    if media == "*":  # some old clients
        media = "*/*"
    if media.count("/") != 1:
        return None
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = min(1.0, max(0.0, float(value)))
            except ValueError:
                return None
    return media, quality


def _quality(media: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that takes the type; 0 where none does."""
    family = media.split("/")[0] + "/*"
    for pattern in (media, family, "*/*"):
        for each, quality in ranges:
            if each == pattern:
                return quality
    return 0.0
