"""What may stand together in one route. Each rule takes its outline and yields what is wrong with it."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from proxy.config.auth_rules import is_guarded
from proxy.config.filter_rules import FILTER_RULES
from proxy.config.media import FORM, NDJSON, is_json
from proxy.config.migrate_rules import MIGRATE_RULES
from proxy.config.mistake import Fault, Path
from proxy.config.model import Route
from proxy.config.outline import RouteOutline, mapping
from proxy.config.placeholder import OF_CALLERS, BadTemplate, Placeholder, parse_template
from proxy.config.upstream_rules import UPSTREAM_ROUTE_RULES

Rule = Callable[[RouteOutline], Iterator[Fault]]
Text = tuple[Path, str]  # where a template stands in the file, and what it says

_NO_BODY = (204, 205, 304)


def one_purpose(route: RouteOutline) -> Iterator[Fault]:
    """A route produces, consumes or passes on. One with a key we do not know instead has its fault already."""
    purposes = [key for key in ("produce", "consume", "upstream") if route.said.get(key) is not None]
    if "consume" in purposes and len(purposes) > 1:
        yield Fault((*route.path, "consume"), f"stands beside {_other(purposes)}: make it two routes")
    if purposes == ["produce", "upstream"] and route.said.get("migrate") is None:
        detail = "stands beside produce: write `migrate`, which says who answers, or make it two routes"
        yield Fault((*route.path, "upstream"), detail)
    if not purposes and set(route.said) <= set(Route.model_fields):
        detail = "says neither produce, consume nor upstream: a route has one of them"
        yield Fault(route.path, detail)


def _other(purposes: list[str]) -> str:
    return next(purpose for purpose in purposes if purpose != "consume")


def reads_are_get_or_post(route: RouteOutline) -> Iterator[Fault]:
    if route.consume and route.pattern and route.pattern.method not in ("GET", "POST"):
        yield Fault((*route.path, "route"), f"{route.pattern.method} does not read: a consume route is GET (or POST)")


def response_is_for_produce(route: RouteOutline) -> Iterator[Fault]:
    if not route.produce and route.said.get("response") is not None:
        reads = bool(route.consume)
        if reads or route.said.get("upstream") is not None:
            what = "a consume route answers records" if reads else "an upstream's answer goes through as it is"
            yield Fault((*route.path, "response"), f"is for produce routes: {what}", at_key=True)


def leases_need_a_group(route: RouteOutline) -> Iterator[Fault]:
    for key in ("ack", "lease_ms", "max_deliveries", "dead_letter", "order", "max_in_flight", "commit"):
        if key in route.consume and route.consume.get("group") is None:
            detail = f"{key} needs a `group`: without one each client keeps its own position"
            yield Fault((*route.path, "consume", key), detail, at_key=True)


def commits_are_of_explicit_acks(route: RouteOutline) -> Iterator[Fault]:
    if "commit" in route.consume and route.consume.get("ack") == "auto":
        detail = "is for explicit acks: nobody waits for an automatic one. Leave it out, or write `ack: explicit`"
        yield Fault((*route.path, "consume", "commit"), detail, at_key=True)


def the_dead_are_kept(route: RouteOutline) -> Iterator[Fault]:
    """A limit of deliveries without a place for what meets it would lose records."""
    dead_letter, topics = route.consume.get("dead_letter"), route.consume.get("topics")
    if route.consume.get("max_deliveries") is not None and dead_letter is None:
        detail = "needs a `dead_letter` topic: without one, records handed out so often would be lost"
        yield Fault((*route.path, "consume", "max_deliveries"), detail, at_key=True)
    if dead_letter is not None and isinstance(topics, list) and dead_letter in topics:
        detail = f"{dead_letter} is one of the topics that are read: dead letters would be read again. Write another"
        yield Fault((*route.path, "consume", "dead_letter"), detail)


def acks_have_a_path(route: RouteOutline) -> Iterator[Fault]:
    explicit = route.consume.get("group") is not None and route.consume.get("ack", "explicit") == "explicit"
    if explicit and route.pattern and route.pattern.acks is None:
        detail = "leaves no place for /ack after {...}: name the segments, or write `ack: auto`"
        yield Fault((*route.path, "route"), detail)


def topics_are_named_once(route: RouteOutline) -> Iterator[Fault]:
    topics = route.consume.get("topics")
    if not isinstance(topics, list):
        return
    for index, topic in enumerate(topics):
        if topic in topics[:index]:
            yield Fault((*route.path, "consume", "topics", index), f"{topic} is listed twice")


def tombstones_are_deletes(route: RouteOutline) -> Iterator[Fault]:
    if "value" not in route.produce or route.produce["value"] is not None:
        return
    if route.pattern and route.pattern.method != "DELETE":
        detail = f"null (a tombstone) is for DELETE routes, this one is {route.pattern.method}: leave it out"
        yield Fault((*route.path, "produce", "value"), detail)
    if route.produce.get("key") is None:
        yield Fault((*route.path, "produce", "value"), "null (a tombstone) deletes by key: write a `key` too")


def empty_answers_have_no_body(route: RouteOutline) -> Iterator[Fault]:
    status = route.response.get("status")
    if status in _NO_BODY and route.response.get("body") is not None:
        yield Fault((*route.path, "response", "body"), f"a {status} has no body: leave it out, or write 200")


def templates_can_be_filled_in(route: RouteOutline) -> Iterator[Fault]:
    for path, text in (*record_texts(route), *answer_texts(route), *caller_texts(route)):
        try:
            pieces = parse_template(text)
        except BadTemplate as exc:
            yield Fault(path, str(exc))
            continue
        in_body = path[2:4] == ("response", "body")
        yield from (Fault(path, detail) for detail in _misplaced(pieces, route, in_body))


def fixed_numbers_are_numbers(route: RouteOutline) -> Iterator[Fault]:
    """A partition without placeholders is known now."""
    partition = route.produce.get("partition")
    if isinstance(partition, bool) or not isinstance(partition, (int, str)) or "{" in str(partition):
        return
    if not re.fullmatch(r"[0-9]{1,9}", str(partition)):
        yield Fault((*route.path, "produce", "partition"), f"{partition} is no partition: write a number from 0")


def fixed_times_are_times(route: RouteOutline) -> Iterator[Fault]:
    """A timestamp without placeholders is known now."""
    timestamp = route.produce.get("timestamp")
    if isinstance(timestamp, bool) or not isinstance(timestamp, (int, str)) or "{" in str(timestamp):
        return
    if not is_time(str(timestamp)):
        detail = f"{timestamp!r} is no time: write a template, such as {{body.at}}, or leave it out and it is now"
        yield Fault((*route.path, "produce", "timestamp"), detail)


def is_time(text: str) -> bool:
    """Milliseconds since the epoch, or ISO 8601 with its offset or Z: what `routes/recipe.py` takes."""
    if re.fullmatch(r"[0-9]{1,15}", text):
        return True
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None and moment.timestamp() >= 0


def content_types_can_be_read(route: RouteOutline) -> Iterator[Fault]:
    """A route that looks into bodies takes only what it can look into."""
    types = route.produce.get("content_types")
    strict = route.produce.get("schema") is not None
    if not isinstance(types, list) or not (strict or _reads_body(route)):
        return
    why = "has a schema: only JSON" if strict else "reads {body.…}: only JSON and forms"
    also = {*(() if strict else (FORM,)), *((NDJSON,) if route.produce.get("batch") is True else ())}
    for index, media_type in enumerate(types):
        if isinstance(media_type, str) and not is_json(media_type.lower()) and media_type.lower() not in also:
            yield Fault((*route.path, "produce", "content_types", index), f"{media_type} cannot be read, and it {why}")


def batches_can_come_in(route: RouteOutline) -> Iterator[Fault]:
    """A batch is a JSON array or NDJSON: one of them must be among the types the route takes."""
    types = route.produce.get("content_types")
    if route.produce.get("batch") is not True or not isinstance(types, list) or not types:
        return
    if not any(isinstance(each, str) and (is_json(each.lower()) or each.lower() == NDJSON) for each in types):
        detail = f"has neither JSON nor NDJSON, and it says `batch: true`: add application/json or {NDJSON}"
        yield Fault((*route.path, "produce", "content_types"), detail)


def record_texts(route: RouteOutline) -> Iterator[Text]:
    """The templates of the record."""
    at = (*route.path, "produce")
    for key in ("key", "partition", "timestamp", "headers"):
        yield from _texts((*at, key), route.produce.get(key))


def answer_texts(route: RouteOutline) -> Iterator[Text]:
    """The templates of the answer."""
    at = (*route.path, "response")
    for key in ("headers", "body"):
        yield from _texts((*at, key), route.response.get(key))


def caller_texts(route: RouteOutline) -> Iterator[Text]:
    """The template of who calls a route that migrates."""
    yield from _texts((*route.path, "migrate", "caller"), mapping(route.said.get("migrate")).get("caller"))


def _texts(path: Path, value: Any) -> Iterator[Text]:
    if isinstance(value, str):
        yield path, value
    children: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for step, child in children:
        yield from _texts((*path, step), child)


def _misplaced(pieces: Iterable[str | Placeholder], route: RouteOutline, in_body: bool) -> Iterator[str]:
    for piece in pieces:
        if isinstance(piece, str):
            if not in_body and re.search(r"[\r\n\0]", piece):
                yield "has a line break or NUL, which keys and headers cannot carry: write it on one line"
        elif piece.source == "record" and not in_body:
            yield f"{piece} is known only once the record is written: it can stand in response.body"
        elif piece.source in OF_CALLERS and not is_guarded(route):
            yield f"{piece} is of a caller, and nobody is asked who they are: write `auth` in the route"
        elif piece.source == "path" and route.pattern and piece.way[0] not in route.pattern.names:
            names = ", ".join(f"{{path.{name}}}" for name in route.pattern.names) or "none"
            yield f"{piece} is not in the route {route.pattern}: there are {names}"


def _reads_body(route: RouteOutline) -> bool:
    for _, text in (*record_texts(route), *answer_texts(route)):
        try:
            if any(isinstance(piece, Placeholder) and piece.source == "body" for piece in parse_template(text)):
                return True
        except BadTemplate:
            continue
    return False


ROUTE_RULES: tuple[Rule, ...] = (
    one_purpose,
    reads_are_get_or_post,
    response_is_for_produce,
    leases_need_a_group,
    commits_are_of_explicit_acks,
    the_dead_are_kept,
    acks_have_a_path,
    topics_are_named_once,
    tombstones_are_deletes,
    empty_answers_have_no_body,
    templates_can_be_filled_in,
    fixed_numbers_are_numbers,
    fixed_times_are_times,
    content_types_can_be_read,
    batches_can_come_in,
    *FILTER_RULES,
    *MIGRATE_RULES,
    *UPSTREAM_ROUTE_RULES,
)
