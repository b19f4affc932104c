"""How a share is written: `1%`, `0.1%`, `100%`."""

import re

_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")


def parse_share(text: str) -> float:
    """The share as a number from 0 to 1. Raises ValueError."""
    match = _SHARE.fullmatch(text.strip())
    share = float(match[1]) / 100 if match else -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"{text!r} is no share: write 0% to 100%, for example 1% or 0.1%")
    return share
