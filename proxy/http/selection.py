"""What a client of a feed is shown, and from where: as its route says, and what the client asks for within that."""

from dataclasses import dataclass

from proxy.config.model import Consume
from proxy.config.moment import read_moment
from proxy.consume.feeds.sieve import Sieve, Sieves
from proxy.errors import Malformed
from proxy.http.consume import Ask
from proxy.http.exchange import Exchange
from proxy.routes.filter import FilterRecipe
from proxy.seams.feeds import Start


@dataclass(frozen=True, slots=True)
class Selection:
    """`consume.from`, `.allow_from` and `.filter` of a route without a group."""

    default: Start
    allow_from: bool
    recipe: FilterRecipe | None
    sieves: Sieves

    @classmethod
    def of(cls, consume: Consume, sieves: Sieves) -> "Selection":
        recipe = FilterRecipe.compile(consume.filter) if consume.filter else None
        return cls(consume.start, consume.allow_from, recipe, sieves)

    def start(self, ask: Ask) -> Start:
        """Where a client begins that has no position. Raises Malformed."""
        if ask.start is None:
            return self.default
        if not self.allow_from:
            raise Malformed(
                "This route does not take `from`: leave it out, and the reader begins where the route says."
            )
        match ask.start:
            case "earliest" | "latest" as said:
                return said
        since_ms = read_moment(ask.start)
        if since_ms is None:
            raise Malformed(
                "`from` must be earliest, latest, or a time such as 2026-11-22T15:00:00Z (in a query + is written %2B)."
            )
        return since_ms

    def sieve(self, exchange: Exchange) -> Sieve | None:
        """The route's filter as it is for this request; None: the client is shown everything.

        Raises FieldInvalid, Malformed.
        """
        if self.recipe is None:
            return None
        request = exchange.request()
        bound = self.recipe.bind(request)
        return None if bound is None else self.sieves.of(bound)
