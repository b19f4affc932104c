"""The admin side's endpoints of routes on their way: where they stand, and putting them elsewhere.

What they are told stands in the query, since no request has a body.
"""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.admin.answer import answer
from proxy.admin.door import operator_of
from proxy.admin.operations import Operations
from proxy.errors import FieldInvalid, FieldMissing
from proxy.migrate.changing import Wish
from proxy.migrate.stages import Setting
from proxy.observe.audit import NOBODY

ACCEPTED = {"accept_gap": "gap", "accept_violations": "violations"}
MOST_WORDS = 500  # characters of `why` and `who`


def migration_routes(operations: Operations) -> Sequence[Route]:
    endpoints = _Migrations(operations)
    return [
        Route("/admin/migration", endpoints.all),
        Route("/admin/migration/{name}", endpoints.one),
        Route("/admin/migration/{name}/set", endpoints.set, methods=["POST"]),
    ]


class _Migrations:
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def all(self, request: Request) -> Response:
        return answer(self._operations.migrations().all())

    async def one(self, request: Request) -> Response:
        return answer(self._operations.migrations().one(request.path_params["name"]))

    async def set(self, request: Request) -> Response:
        """200 when it was activated, whoever has confirmed it: `unconfirmed` names the others."""
        return answer(await self._operations.migrations().change(wish_of(request)))


def wish_of(request: Request) -> Wish:
    """What the query asks for. Raises FieldMissing, FieldInvalid."""
    query = request.query_params
    stage = query.get("stage")
    if not stage:
        raise FieldMissing("The query lacks `stage`: legacy, shadow, dual or kafka.")
    try:
        setting = Setting.read(stage, query.get("rollout") or None)
    except ValueError as exc:
        raise FieldInvalid(f"{exc}.") from None
    accepted = {name: number for key, name in ACCEPTED.items() if (number := _whole(request, key)) is not None}
    return Wish(
        route=request.path_params["name"],
        setting=setting,
        who=_who(operator_of(request), query.get("who", "")),
        why=query.get("why", "")[:MOST_WORDS],
        accepted=accepted,
        epoch=_whole(request, "epoch"),
    )


def _who(operator: str, said: str) -> str:
    """Where operators are told apart, what one says of himself stands behind what is known."""
    said = said[:MOST_WORDS]
    if operator == NOBODY:
        return said or NOBODY
    return f"{operator} ({said})" if said else operator


def _whole(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise FieldInvalid(f"`{name}` is {text!r}: write a whole number.")
    return int(text)
