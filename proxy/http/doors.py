"""The doors of all routes: for each what its callers are asked, compiled from the configuration in force."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy.config.callers import Auth, RouteAuth
from proxy.config.model import Config, Route
from proxy.http.dispatch import Handler
from proxy.http.entrance import Entrance
from proxy.http.guarded import BodyRight, CutOff, GuardedEndpoint, Stripped, challenges
from proxy.http.right import Right
from proxy.observe.audit import Denials
from proxy.observe.metrics import Sample

EVERYTHING_SHUT = RouteAuth(principals=("nobody:",))  # no caller's id: what the rules of the file let nobody write


@dataclass(slots=True)
class Doors:
    """Who is let in where."""

    entrance: Entrance
    denials: Denials = field(default_factory=Denials)
    _auth: Auth | None = None

    def follow(self, config: Config) -> None:
        """Put this configuration in force."""
        self._auth = config.auth
        self.entrance.follow(config.auth or Auth())

    def guarded(self, route: Route, handle: Handler) -> Handler:
        """The handler behind the route's door; the handler itself where there is none."""
        said = self._asked(route)
        if said is None or self._auth is None:
            return handle
        if route.upstream is not None:
            inner = CutOff(handle)
            handle = Stripped(inner, self.entrance) if self._auth.forward == "strip" else inner
        taken = _schemes(said, self._auth)
        shown = challenges(taken, self._auth.key_header)
        return GuardedEndpoint(handle, self.entrance, Right.compile(said), self.denials, route.name, shown)

    def body_right(self, route: Route) -> BodyRight | None:
        """What of the route's right has to wait for the body."""
        said = self._asked(route)
        right = Right.compile(said) if said is not None else None
        if right is None or not right.reads_body:
            return None
        return BodyRight(right, self.entrance, self.denials, route.name)

    def header_names(self, route: Route) -> tuple[str, ...]:
        """Request headers that its callers need, so that pages of other origins may send them."""
        if self._auth is None or self._asked(route) is None:
            return ()
        return ("Authorization", self._auth.key_header)

    def samples(self) -> Iterator[Sample]:
        yield from self.entrance.samples()
        yield Sample("stepbridge_audit_left_out_total", {}, self.denials.left_out_total)

    def _asked(self, route: Route) -> RouteAuth | None:
        """None: anyone may. A route that says nothing where callers are told apart lets nobody in."""
        if self._auth is None:
            return None
        said = route.auth or EVERYTHING_SHUT
        return None if said.is_open else said


def _schemes(said: RouteAuth, auth: Auth) -> tuple[str, ...]:
    """Those a caller may use here; all of them if one alternative leaves it open."""
    each = [rights.schemes for rights in said.alternatives]
    if any(schemes is None for schemes in each):
        return auth.schemes
    return tuple(scheme for schemes in each for scheme in schemes or ())
