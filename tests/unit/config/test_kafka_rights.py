"""Which ACLs a file needs, and what of them is missing."""

from pathlib import Path

from proxy.config.kafka_rights import in_words, lacking, needed
from tests.unit.config.files import load_text, with_routes

ROUTES = """
- {route: POST /orders, produce: {topic: orders}}
- {route: GET /restock, consume: {topics: [orders], group: shops, max_deliveries: 3, dead_letter: dead}}
"""


def test_each_resource_is_named_once_with_all_that_is_done_to_it(tmp_path: Path) -> None:
    assert {
        resource: sorted(wanted) for resource, wanted in needed(load_text(tmp_path, with_routes(ROUTES))).items()
    } == {
        "topic orders": ["DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE"],
        "group shops": ["READ"],
        "group shops.replayed": ["READ"],
        "topic dead": ["DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE"],
    }


def test_a_route_on_its_way_needs_the_bridge_s_own_topics_and_to_read_what_it_replays(tmp_path: Path) -> None:
    way = "- {route: POST /o, upstream: old, migrate: {stage: shadow}, produce: {topic: orders}}"
    text = with_routes(way) + "\nupstreams: {old: {url: http://localhost:8000}}\n"
    wanted = {resource: sorted(each) for resource, each in needed(load_text(tmp_path, text)).items()}
    own = ["CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE"]
    assert wanted == {
        "topic orders": ["DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE"],
        "topic _stepbridge.migrations": own,
        "topic _stepbridge.divergences": own,
    }


def test_only_what_is_known_to_be_missing_lacks(tmp_path: Path) -> None:
    wanted = needed(load_text(tmp_path, with_routes(ROUTES)))
    held = {"topic orders": frozenset({"DESCRIBE", "READ"}), "group shops": frozenset({"READ", "DESCRIBE"})}
    missing = lacking(wanted, held)
    assert in_words(missing) == "DESCRIBE_CONFIGS, WRITE on topic orders"
