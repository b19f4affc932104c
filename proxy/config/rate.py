"""How a rate is written: `100/s`, `6000/min`, `20/h`; `100/s burst 500` where more may come at once after a rest."""

import re

PERIODS_S = {"s": 1, "min": 60, "h": 3_600}

_RATE = re.compile(r"([1-9][0-9]{0,8})/(s|min|h)(?: burst ([1-9][0-9]{0,8}))?")


def parse_rate(text: str) -> tuple[int, int, int]:
    """Requests, the seconds they may come in, and how many may come at once. Raises ValueError."""
    match = _RATE.fullmatch(" ".join(text.split()))
    if match is None:
        raise ValueError(f"{text!r} is no rate: write for example 100/s, 6000/min, or 100/s burst 500")
    requests = int(match[1])
    return requests, PERIODS_S[match[2]], int(match[3] or requests)
