"""What may stand in a route's filter, beside what a single condition may be (`condition.py`)."""

from collections.abc import Iterator

from proxy.config.auth_rules import is_guarded
from proxy.config.condition import IS, read_condition
from proxy.config.mistake import Fault, Path
from proxy.config.outline import RouteOutline, mapping
from proxy.config.placeholder import OF_CALLERS, BadTemplate, Placeholder, placeholders

READERS_OWN = {  # parameters of the query that mean something to every consume route
    "max": "how many records a poll may have",
    "wait": "how long a poll waits",
    "position": "where a client goes on",
    "from": "where a client begins",
    "ack": "the lease that a poll acknowledges",
}


def filters_are_of_feeds(route: RouteOutline) -> Iterator[Fault]:
    if "filter" in route.consume and route.consume.get("group") is not None:
        detail = (
            "is for routes without a `group`: a record that it leaves out would have to count as accepted, "
            "for everyone. Leave it out, or read without a group"
        )
        yield Fault((*route.path, "consume", "filter"), detail, at_key=True)


def starts_are_of_feeds(route: RouteOutline) -> Iterator[Fault]:
    if route.consume.get("allow_from") is True and route.consume.get("group") is not None:
        detail = "is for routes without a `group`: where a group goes on, its commits say. Leave it out"
        yield Fault((*route.path, "consume", "allow_from"), detail, at_key=True)


def filters_can_be_bound(route: RouteOutline) -> Iterator[Fault]:
    """Each value is literal, or known from a reader's request."""
    for path, text in _values(route):
        try:
            used = placeholders(text)
        except BadTemplate as exc:
            yield Fault(path, str(exc))
            continue
        yield from (Fault(path, detail) for detail in _misplaced(used, route))


def _values(route: RouteOutline) -> Iterator[tuple[Path, str]]:
    for field, said in mapping(route.consume.get("filter")).items():
        try:
            tests = read_condition(said)
        except ValueError:
            continue  # it has its own fault
        for name, text in tests.items():
            at = (*route.path, "consume", "filter", field)
            yield at if name == IS else (*at, name), text


def _misplaced(used: tuple[Placeholder, ...], route: RouteOutline) -> Iterator[str]:
    names = route.pattern.names if route.pattern else ()
    for piece in used:
        if piece.source in OF_CALLERS and is_guarded(route):
            continue
        if piece.source not in ("path", "query"):
            yield f"{piece} is not known of a reader: there are {{path.…}} and {{query.…}}"
        elif piece.source == "path" and route.pattern and piece.way[0] not in names:
            there_are = ", ".join(f"{{path.{name}}}" for name in names) or "none"
            yield f"{piece} is not in the route {route.pattern}: there are {there_are}"
        elif piece.source == "query" and piece.way[0] in READERS_OWN:
            name = piece.way[0]
            yield f"{piece} is {READERS_OWN[name]}: give the parameter another name, such as {{query.{name}_value}}"
    sources = {piece.source for piece in used}
    if "query" in sources and len(sources) > 1:
        (other, *_) = sorted(sources - {"query"})
        yield (
            f"mixes {{{other}.…}} with {{query.…}}: without the parameter nothing of it would filter. Write a "
            "condition for each"
        )


FILTER_RULES = (filters_are_of_feeds, starts_are_of_feeds, filters_can_be_bound)
