"""The scenario: what is sold, which topics it makes, and who reads them. `config/retail.yaml` is its other half."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

STOCK = "retail.stock-levels"
PROMOTIONS = "retail.promotions"
SALES = "retail.sales"
RESTOCK = "retail.restock-orders"
PRICES = "retail.prices"
TOPICS = (STOCK, PROMOTIONS, SALES, RESTOCK, PRICES)

INVENTORY = "inventory"
PRICING = "pricing"
RECOMMENDATION = "recommendations"
DASHBOARD = "dashboard"
READS = {
    INVENTORY: frozenset({STOCK, SALES}),
    PRICING: frozenset({STOCK, PROMOTIONS, SALES}),
    RECOMMENDATION: frozenset({SALES}),
    DASHBOARD: frozenset(TOPICS),
}


@dataclass(frozen=True, slots=True)
class Article:
    sku: str
    name: str
    price_cents: int
    most: int  # pieces that a customer takes at once


MOST = 4
ASSORTMENT = tuple(
    Article(f"A-{number:03}", name, price_cents, most)
    for number, (name, price_cents, most) in enumerate(
        [
            ("Espresso beans", 1290, 1),
            ("Green tea", 690, 1),
            ("Oat drink", 219, MOST),
            ("Sourdough loaf", 450, 2),
            ("Butter", 299, 2),
            ("Mountain cheese", 890, 1),
            ("Tomatoes", 349, MOST),
            ("Basil", 199, 3),
            ("Olive oil", 1190, 1),
            ("Spaghetti", 179, 3),
            ("Pesto", 379, 2),
            ("Red lentils", 259, 2),
            ("Basmati rice", 429, 1),
            ("Dark chocolate", 249, MOST),
            ("Hazelnuts", 499, 2),
            ("Honey", 649, 1),
            ("Apples", 299, MOST),
            ("Bananas", 189, MOST),
            ("Sparkling water", 79, MOST),
            ("Orange juice", 329, 3),
        ],
        start=1,
    )
)
STORES = ("berlin", "hamburg", "koeln", "leipzig", "muenchen")


class Shelf(NamedTuple):
    """One article of one store: its events stay in order."""

    store: str
    sku: str

    @property
    def key(self) -> str:
        return f"{self.store}:{self.sku}"


def shelf_of(record: Mapping[str, Any]) -> Shelf | None:
    """Whose shelf a record is about, by its key; None if another client wrote something else there."""
    key = record["key"]
    store, colon, sku = key.partition(":") if isinstance(key, str) else ("", "", "")
    return Shelf(store, sku) if colon else None


def number_of(record: Mapping[str, Any], field: str) -> int | None:
    """A count or an amount from the record's value; None if another client wrote something else there."""
    value = record["value"]
    number = value.get(field) if isinstance(value, Mapping) else None
    return number if isinstance(number, int) else None
