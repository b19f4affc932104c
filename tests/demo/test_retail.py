"""The scenario and `config/retail.yaml` are two halves of one thing."""

from typing import Any

import pytest
import yaml

from proxy.demo.check import Script
from proxy.demo.clients import dashboard, inventory
from proxy.demo.retail import ASSORTMENT, DASHBOARD, INVENTORY, MOST, PRICING, READS, RECOMMENDATION, TOPICS, number_of
from proxy.shipped import shipped

ROUTES: dict[str, dict[str, Any]] = {
    route["route"]: route for route in yaml.safe_load(shipped("retail.yaml").read_text())["routes"]
}
READERS = {
    INVENTORY: f"GET {inventory.PATH}",
    PRICING: "GET /pricing/changes",
    RECOMMENDATION: "GET /recommendations/sales",
    DASHBOARD: f"GET {dashboard.PATH}",
}


@pytest.mark.parametrize("reader", READS)
def test_every_reader_reads_what_its_route_gives_it(reader: str) -> None:
    assert READS[reader] == frozenset(ROUTES[READERS[reader]]["consume"]["topics"])


def test_the_routes_write_to_the_scenarios_topics_and_no_others() -> None:
    assert {route["produce"]["topic"] for route in ROUTES.values() if "produce" in route} == set(TOPICS)


def test_the_check_watches_for_longer_than_a_lease_lasts() -> None:
    lease_s = ROUTES[READERS[INVENTORY]]["consume"]["lease_ms"] / 1000
    assert Script().quiet_s > lease_s
    assert Script().arrive_within_s > 2 * lease_s


def test_articles_differ_and_no_customer_empties_a_shelf_at_once() -> None:
    assert len({article.sku for article in ASSORTMENT}) == len(ASSORTMENT)
    assert all(1 <= article.most <= MOST for article in ASSORTMENT)


@pytest.mark.parametrize("value", [None, "text", 7, [], {}, {"quantity": "7"}, {"quantity": None}])
def test_what_is_no_number_is_none(value: object) -> None:
    assert number_of({"value": value}, "quantity") is None
