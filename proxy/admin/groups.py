"""The admin side's endpoints of groups: how they are doing, where they go on, and their dead letters.

What they are told stands in the query, since no request has a body.
"""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.admin.answer import answer
from proxy.admin.operations import Operations
from proxy.admin.problem import NotMoved
from proxy.admin.states import group_states, letter_state
from proxy.consume.claim import read_id
from proxy.consume.groups.control import Moved
from proxy.consume.groups.whence import Whence
from proxy.errors import FieldInvalid, FieldMissing

MOST_LETTERS = 1_000
DEFAULT_LETTERS = 100


def group_routes(operations: Operations) -> Sequence[Route]:
    endpoints = _Groups(operations)
    one = "/admin/groups/{group:path}"
    return [
        Route("/admin/groups", endpoints.all),
        Route(f"{one}/seek", endpoints.seek, methods=["POST"]),
        Route(f"{one}/skip", endpoints.skip, methods=["POST"]),
        Route(f"{one}/dead", endpoints.dead),
        Route(f"{one}/replay", endpoints.replay, methods=["POST"]),
    ]


class _Groups:
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def all(self, request: Request) -> Response:
        return answer({"groups": group_states(await self._operations.groups())})

    async def seek(self, request: Request) -> Response:
        """200 if all partitions were moved, 207 if some were, else 503."""
        control = self._operations.group(request.path_params["group"])
        whence = Whence.read(_needed(request, "to"))
        partition = _whole(request, "partition", most=1 << 31)
        moved = await control.seek(whence, topic=request.query_params.get("topic"), partition=partition)
        told = [_moved(each) for each in moved]
        troubled = sum(each.trouble is not None for each in moved)
        if troubled == len(moved):
            raise NotMoved(f"No partition was moved: {moved[0].trouble}", extra={"moved": told})
        return answer({"moved": told}, 207 if troubled else 200)

    async def skip(self, request: Request) -> Response:
        control = self._operations.group(request.path_params["group"])
        record = _needed(request, "record")
        place = read_id(record)
        if place is None:
            raise FieldInvalid(f"`record` is {record!r}: write topic:partition:offset, as the record's id has it.")
        return answer({"record": record, "skipped": await control.skip(*place)})

    async def dead(self, request: Request) -> Response:
        control = self._operations.group(request.path_params["group"])
        most = _whole(request, "max", least=1, most=MOST_LETTERS)
        with_values = _flag(request, "values")
        letters, is_complete = await control.dead(most=most or DEFAULT_LETTERS, with_values=with_values)
        told = [letter_state(letter, with_value=with_values) for letter in letters]
        return answer({"letters": told, "is_complete": is_complete})

    async def replay(self, request: Request) -> Response:
        control = self._operations.group(request.path_params["group"])
        ids = request.query_params.getlist("id")
        if _flag(request, "all") == bool(ids):
            raise FieldMissing("Name dead letters with `id`, once for each, or write `all=1`.")
        done = await control.replay(ids or None)
        return answer(
            {
                "replayed": [{"id": name, "to": place} for name, place in done.written.items()],
                "troubles": [{"id": name, "detail": detail} for name, detail in done.troubles.items()],
                "is_complete": done.is_complete,
                "is_remembered": done.is_remembered,
            }
        )


def _moved(each: Moved) -> dict[str, Any]:
    topic, number = each.partition
    return {"topic": topic, "partition": number, "from": each.before, "to": each.after, "trouble": each.trouble}


def _needed(request: Request, name: str) -> str:
    text = request.query_params.get(name)
    if not text:
        raise FieldMissing(f"The query lacks `{name}`.")
    return text


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "0") not in ("", "0")


def _whole(request: Request, name: str, *, least: int = 0, most: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 11 else -1
    if not least <= number <= most:
        raise FieldInvalid(f"`{name}` is {text!r}: write a whole number from {least} to {most}.")
    return number
