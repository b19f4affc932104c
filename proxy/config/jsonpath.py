"""How a place in a JSON document is written: `order.total`, `items.*.price`, `items.0.sku`.

A step for each level, as in templates; `*` is any name or index. What lies below a place belongs to it.
"""

MAX_STEPS = 32


def read_path(text: str) -> tuple[str, ...]:
    """Its steps. Raises ValueError, for people."""
    steps = tuple(text.split("."))
    if "" in steps or steps[0] in ("$", "body"):
        raise ValueError(f"{text!r} is no place in a document: write for example order.total or items.*.price")
    if len(steps) > MAX_STEPS:
        raise ValueError(f"{text[:40]!r}… has {len(steps)} steps, and at most {MAX_STEPS} are followed")
    return steps
