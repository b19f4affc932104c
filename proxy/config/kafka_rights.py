"""What the file's routes must be allowed in Kafka: an ACL for each resource, its operations in Kafka's words."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from proxy.config.model import Config, Route

Resource = str  # `topic orders`, `group shops`, `cluster`
Rights = Mapping[Resource, frozenset[str]]

_SEEN = ("DESCRIBE", "DESCRIBE_CONFIGS")
DISPENSABLE = frozenset({"DESCRIBE_CONFIGS"})  # without it a topic's settings are guessed


def needed(config: Config) -> Rights:
    """By all routes together, and by the topics that the bridge keeps for itself."""
    said = [each for route in config.routes for each in _of_route(route)]
    if any(route.migrate for route in config.routes):
        internal = config.kafka.internal
        for own in (f"topic {internal.migrations}", f"topic {internal.divergences}"):
            said += [(own, each) for each in (*_SEEN, "READ", "WRITE", *(["CREATE"] * internal.create))]
    if config.topics.create:
        said.append(("cluster", "CREATE"))
    return _together(said)


def needed_by(route: Route) -> Rights:
    """By one route alone."""
    return _together(_of_route(route))


def _of_route(route: Route) -> Iterator[tuple[Resource, str]]:
    if route.produce:
        replays = ["READ"] if route.migrate else []  # to the service behind it
        yield from ((f"topic {route.produce.topic}", each) for each in (*_SEEN, "WRITE", *replays))
    if route.consume is None:
        return
    for name in route.consume.topics:
        yield from ((f"topic {name}", each) for each in (*_SEEN, "READ"))
    if route.consume.group:
        yield f"group {route.consume.group}", "READ"
    if route.consume.dead_letter:
        yield from ((f"topic {route.consume.dead_letter}", each) for each in (*_SEEN, "READ", "WRITE"))
        yield f"group {route.consume.group}.replayed", "READ"  # where it is kept which letters were


def lacking(needed: Rights, held: Rights) -> Rights:
    """What is needed and not held, of the resources whose rights are known."""
    missing = {resource: wanted - held[resource] for resource, wanted in needed.items() if resource in held}
    return {resource: wanted for resource, wanted in missing.items() if wanted}


def in_words(rights: Rights) -> str:
    """`READ, WRITE on topic orders; READ on group shops`."""
    return "; ".join(f"{', '.join(sorted(wanted))} on {resource}" for resource, wanted in sorted(rights.items()))


def _together(said: Iterable[tuple[Resource, str]]) -> Rights:
    sets: defaultdict[Resource, set[str]] = defaultdict(set)
    for resource, operation in said:
        sets[resource].add(operation)
    return {resource: frozenset(operations) for resource, operations in sets.items()}
