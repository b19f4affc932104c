"""Whether the migration cost anybody anything: what was accepted, held against what both sides have."""

from collections import Counter
from collections.abc import Mapping, Sequence

from proxy.demo.migration.stores import Accepted, order_by_key

IN_KAFKA = frozenset(("shadow", "dual", "kafka"))  # stages at which a record is written
ORDERED = frozenset(("dual", "kafka"))

Movements = Sequence[tuple[str, str]]  # key, movement


def failures(accepted: Sequence[Accepted], errors: Sequence[str], kafka: Movements, legacy: Movements) -> list[str]:
    """What is wrong, in words; nothing if all is well."""
    found = [f"{len(errors)} clients saw an error, the first: {errors[0]}"] if errors else []
    found += _missing(accepted, kafka, "Kafka", stages=IN_KAFKA)
    found += _missing(accepted, legacy, "the old service", stages=None)
    twice = [movement for movement, times in Counter(movement for _, movement in kafka).items() if times > 1]
    if twice:
        found.append(f"{len(twice)} movements are in Kafka twice, the first: {twice[0]}")
    for name, side in (("Kafka", kafka), ("the old service", legacy)):
        found += _out_of_order(accepted, order_by_key(side), name)
    return found


def _missing(accepted: Sequence[Accepted], side: Movements, name: str, *, stages: frozenset[str] | None) -> list[str]:
    there = {movement for _, movement in side}
    lost = [each for each in accepted if (stages is None or each.stage in stages) and each.movement not in there]
    return [f"{len(lost)} accepted movements are not in {name}, the first: {lost[0]}"] if lost else []


def _out_of_order(accepted: Sequence[Accepted], side: Mapping[str, Sequence[str]], name: str) -> list[str]:
    """Between dual and kafka each key keeps the order in which its store was answered."""
    wanted: dict[str, list[str]] = {}
    for each in accepted:
        if each.stage in ORDERED:
            wanted.setdefault(each.key, []).append(each.movement)
    found = []
    for key, movements in wanted.items():
        mine = set(movements)
        if (got := [movement for movement in side.get(key, ()) if movement in mine]) != movements:
            found.append(f"the movements of {key} are in another order in {name}: {got[:5]} … for {movements[:5]} …")
    return found
