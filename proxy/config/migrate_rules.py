"""What must stand beside `migrate`."""

from collections.abc import Iterator

from proxy.config.mistake import Fault
from proxy.config.model import Route
from proxy.config.outline import RouteOutline, mapping
from proxy.config.placeholder import BadTemplate, placeholders


def migration_has_both_ends(route: RouteOutline) -> Iterator[Fault]:
    """A route moves from an upstream to a topic: it names both."""
    if route.said.get("migrate") is None:
        return
    for key, what in (("upstream", "the service it moves away from"), ("produce", "the topic it moves to")):
        if key in Route.model_fields and route.said.get(key) is None:
            yield Fault((*route.path, "migrate"), f"needs `{key}` beside it, {what}", at_key=True)
    if route.produce.get("batch") is True:
        detail = "a batch has many keys, and each may be at another stage: leave `batch` out, or move the route at once"
        yield Fault((*route.path, "produce", "batch"), detail)


def legacy_has_nothing_below(route: RouteOutline) -> Iterator[Fault]:
    migrate = mapping(route.said.get("migrate"))
    if migrate.get("stage", "legacy") == "legacy" and migrate.get("rollout") not in (None, "100%", "100", 100):
        detail = "is of a stage above legacy: at legacy all keys are. Leave it out, or write the stage they move to"
        yield Fault((*route.path, "migrate", "rollout"), detail)


def rollout_is_by_something(route: RouteOutline) -> Iterator[Fault]:
    """What keys are told apart by must differ among them, and be there before the record is."""
    migrate = mapping(route.said.get("migrate"))
    by = migrate.get("rollout_by")
    if not isinstance(by, str):
        return
    path = (*route.path, "migrate", "rollout_by")
    try:
        found = placeholders(by)
    except BadTemplate as exc:
        yield Fault(path, str(exc))
        return
    if not any(each.source not in ("uuid", "now") for each in found):
        yield Fault(path, 'does not say who is who: write for example "{header.x-client}"')
    for each in found:
        if each.source in ("record", "uuid", "now"):
            yield Fault(path, f"{each} is another with each request, and its stage would be: leave it out")


def callers_are_no_secrets(route: RouteOutline) -> Iterator[Fault]:
    """Names of callers are listed: they tell who calls, and are no credentials."""
    caller = mapping(route.said.get("migrate")).get("caller")
    if not isinstance(caller, str):
        return
    path = (*route.path, "migrate", "caller")
    try:
        found = placeholders(caller)
    except BadTemplate:
        return  # as with any template
    if not any(each.source not in ("uuid", "now") for each in found):
        yield Fault(path, 'does not say who is who: write for example "{header.x-client}"')
    for each in found:
        if each.source == "header" and each.way[0].lower() in _CREDENTIALS:
            yield Fault(path, f"{each} is a credential, and callers are listed: write what tells them apart")


def only_safe_requests_are_repeated(route: RouteOutline) -> Iterator[Fault]:
    """The baseline asks the old service twice."""
    compare = mapping(mapping(route.said.get("migrate")).get("compare"))
    if compare.get("baseline") is True and route.pattern and route.pattern.method not in ("GET", "HEAD", "*"):
        detail = (
            f"asks the old service twice, and a second {route.pattern.method} would act again: leave it out, and name "
            "in `ignore` what differs from one answer to the next"
        )
        yield Fault((*route.path, "migrate", "compare", "baseline"), detail)


_CREDENTIALS = ("authorization", "cookie", "proxy-authorization")

MIGRATE_RULES = (
    migration_has_both_ends,
    legacy_has_nothing_below,
    rollout_is_by_something,
    callers_are_no_secrets,
    only_safe_requests_are_repeated,
)
