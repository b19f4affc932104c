"""What a route's callers need, compiled: templates to be filled in from the request, then held against the caller."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.auth.rights import Need, permits
from proxy.config.callers import Rights, RouteAuth
from proxy.config.placeholder import Placeholder
from proxy.errors import RightMissing
from proxy.principal import Principal
from proxy.routes.request import Request
from proxy.routes.template import Template

Denied = Callable[[Principal], None]


class Alternative:
    """Rights that all must hold. `without_body` leaves out what only the body tells."""

    def __init__(self, rights: Rights) -> None:
        self._schemes = frozenset(rights.schemes) if rights.schemes else None
        self._principals = [_compiled(text) for text in rights.principals] if rights.principals else None
        self._scopes = [_compiled(text) for text in rights.scopes]
        self._claims = {name: _compiled(text) for name, text in rights.claims.items()}
        every = [*(self._principals or ()), *self._scopes, *self._claims.values()]
        self.placeholders = [each for template in every for each in template.placeholders]
        self._fixed = None if self.placeholders else self.need(Request({}, b"", (), b""))

    def need(self, request: Request) -> Need:
        """Raises FieldMissing, FieldInvalid, or a 400, for what the templates name."""
        return Need(
            self._schemes,
            None if self._principals is None else {template.text(request) for template in self._principals},
            {template.text(request) for template in self._scopes},
            {name: template.text(request) for name, template in self._claims.items()},
        )

    def allows(self, principal: Principal, request: Request) -> bool:
        return permits(principal, self._fixed or self.need(request))

    @property
    def reads_body(self) -> bool:
        return any(each.source == "body" for each in self.placeholders)


@dataclass(frozen=True, slots=True)
class Right:
    """One alternative must allow the request."""

    alternatives: Sequence[Alternative]

    @classmethod
    def compile(cls, auth: RouteAuth) -> "Right":
        """Raises BadTemplate."""
        return cls([Alternative(rights) for rights in auth.alternatives])

    @property
    def placeholders(self) -> list[Placeholder]:
        return [each for alternative in self.alternatives for each in alternative.placeholders]

    @property
    def reads_body(self) -> bool:
        return any(alternative.reads_body for alternative in self.alternatives)

    def check(self, principal: Principal, request: Request) -> None:
        """Raises RightMissing, or what the request lacks for the right to be made out."""
        for alternative in self.alternatives:
            if alternative.allows(principal, request):
                return
        raise RightMissing("The caller is known, and may not do this.")


def _compiled(text: str) -> Template:
    return Template.compile(text, "right")
