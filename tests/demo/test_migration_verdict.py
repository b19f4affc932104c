import pytest

from proxy.demo.migration.stores import Accepted, order_by_key
from proxy.demo.migration.verdict import failures

WALK = [
    Accepted("k", "0", "legacy"),
    Accepted("k", "1", "shadow"),
    Accepted("k", "2", "dual"),
    Accepted("k", "3", "kafka"),
]
KAFKA = [("k", "1"), ("k", "2"), ("k", "3")]
LEGACY = [("k", "0"), *KAFKA]


def test_all_is_well() -> None:
    assert failures(WALK, [], KAFKA, LEGACY) == []
    assert order_by_key([("a", "1"), ("b", "2"), ("a", "3"), ("a", "1")]) == {"a": ["1", "3"], "b": ["2"]}


@pytest.mark.parametrize(
    ("errors", "kafka", "legacy", "word"),
    [
        (["3: 503"], KAFKA, LEGACY, "saw an error"),
        ([], KAFKA[1:], LEGACY, "not in Kafka"),
        ([], KAFKA, LEGACY[:-1], "not in the old service"),
        ([], [*KAFKA, ("k", "2")], LEGACY, "twice"),
        ([], [KAFKA[0], KAFKA[2], KAFKA[1]], LEGACY, "another order in Kafka"),
        ([], KAFKA, [*LEGACY[:2], LEGACY[3], LEGACY[2]], "another order in the old service"),
    ],
)
def test_whatever_went_wrong_is_found(
    errors: list[str], kafka: list[tuple[str, str]], legacy: list[tuple[str, str]], word: str
) -> None:
    found = failures(WALK, errors, kafka, legacy)
    assert any(word in each for each in found), found
