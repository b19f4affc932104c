"""How the share of the keys that are on a stage is written: `25%`, `25`, `0.5%`."""

PLACES = 10_000  # a share counts in hundredths of a percent


def read_rollout(text: str) -> int:
    """The share in hundredths of a percent, 1 to PLACES. Raises ValueError, for people."""
    whole, _, part = text.strip().removesuffix("%").strip().partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 3 and (part == "" or part.isdecimal())):
        raise ValueError(f"{text!r} is no share of the keys: write for example 25% or 0.5%")
    if len(part) > 2:
        raise ValueError(f"{text!r} is finer than a share can be: at most two digits after the point")
    share = int(whole) * 100 + int(part.ljust(2, "0"))
    if not 1 <= share <= PLACES:
        raise ValueError(f"{text!r} is no share of the keys: write more than 0% and at most 100%")
    return share
