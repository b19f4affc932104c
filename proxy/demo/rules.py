"""What the scenario's services decide, without HTTP: when to restock, what to charge, what sells best. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.demo.retail import Shelf


@dataclass(slots=True)
class StockBook:
    """How much of each article each store has, and which have been ordered."""

    low: int = 8
    full: int = 40
    _level: dict[Shelf, int] = field(default_factory=dict)
    _ordered: set[Shelf] = field(default_factory=set)

    def report(self, shelf: Shelf, quantity: int) -> int | None:
        """A store counted. Returns how many to order, if it is time."""
        self._level[shelf] = quantity
        if quantity >= self.low:
            self._ordered.discard(shelf)
        return self._due(shelf)

    def sale(self, shelf: Shelf, quantity: int) -> int | None:
        """A store sold. Returns how many to order, if it is time."""
        if shelf in self._level:
            self._level[shelf] -= quantity
        return self._due(shelf)

    def ordered(self, shelf: Shelf) -> None:
        """The order is placed: no other until a delivery has been counted."""
        self._ordered.add(shelf)

    def _due(self, shelf: Shelf) -> int | None:
        level = self._level.get(shelf, self.full)
        if level >= self.low or shelf in self._ordered:
            return None
        return self.full - max(level, 0)


@dataclass(slots=True)
class PriceBook:
    """Prices by scarcity and promotion: dearer when the shelf is nearly empty, cheaper when it is full."""

    base_cents: Mapping[str, int]
    few: int = 8
    many: int = 32
    _level: dict[Shelf, int] = field(default_factory=dict)
    _percent_off: dict[Shelf, int] = field(default_factory=dict)
    _price_cents: dict[Shelf, int] = field(default_factory=dict)

    def stock(self, shelf: Shelf, quantity: int) -> int | None:
        """A store counted. Returns the new price in cents, if it changes."""
        self._level[shelf] = quantity
        return self._change(shelf)

    def sale(self, shelf: Shelf, quantity: int) -> int | None:
        """A store sold. Returns the new price in cents, if it changes."""
        if shelf in self._level:
            self._level[shelf] -= quantity
        return self._change(shelf)

    def promotion(self, shelf: Shelf, percent_off: int) -> int | None:
        """A store promotes an article; 0 ends it. Returns the new price in cents, if it changes."""
        self._percent_off[shelf] = percent_off
        return self._change(shelf)

    def _change(self, shelf: Shelf) -> int | None:
        price_cents = self._price(shelf)
        if price_cents == self._price_cents.get(shelf, self.base_cents.get(shelf.sku, price_cents)):
            return None
        self._price_cents[shelf] = price_cents
        return price_cents

    def _price(self, shelf: Shelf) -> int:
        level = self._level.get(shelf, self.many - 1)
        percent = 110 if level < self.few else 95 if level >= self.many else 100
        return self.base_cents.get(shelf.sku, 0) * percent * (100 - self._percent_off.get(shelf, 0)) // 10_000


@dataclass(slots=True)
class Bestsellers:
    _sold: Counter[str] = field(default_factory=Counter)

    def sale(self, sku: str, quantity: int) -> None:
        self._sold[sku] += quantity

    def top(self, count: int) -> list[tuple[str, int]]:
        return self._sold.most_common(count)
