"""What all workers tell of one route's migration, together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.admin.answer import answer
from proxy.admin.problem import NotReady
from proxy.migrate.report import losses_together, report
from proxy.observe.metrics import Snapshot
from proxy.workers.forward import Answer, ask

WITHIN_S = 5.0


class Workers(Protocol):
    """The part of `admin.Fleet` that this needs."""

    def admin_paths(self) -> Sequence[str]: ...
    async def snapshot(self) -> Snapshot: ...


def report_routes(workers: Workers) -> Sequence[Route]:
    endpoints = _Reports(workers)
    one = "/admin/migration/{name}"
    return [Route(f"{one}/report", endpoints.report), Route(f"{one}/losses", endpoints.losses)]


class _Reports:
    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def report(self, request: Request) -> Response:
        """Numbers of all, also of those that have died; examples of those that answer."""

        async def together(notes: Sequence[Any]) -> Any:
            return report(request.path_params["name"], await self._workers.snapshot(), notes)

        return await self._all(request, "notes", together)

    async def losses(self, request: Request) -> Response:
        async def together(documents: Sequence[Any]) -> Any:
            return {"losses": losses_together(document["losses"] for document in documents)}

        return await self._all(request, "losses", together)

    async def _all(self, request: Request, what: str, together: Callable[[Sequence[Any]], Awaitable[Any]]) -> Response:
        """What they say, or the first refusal if all of them refuse."""
        target = b"%s/%s" % (request.scope["raw_path"].rpartition(b"/")[0], what.encode())
        asked = [_told(path, target, request) for path in self._workers.admin_paths()]
        answers = [each for each in await asyncio.gather(*asked) if each is not None]
        told = [orjson.loads(each.body) for each in answers if each.status == 200]
        if told:
            return answer(await together(told))
        if not answers:
            raise NotReady("No worker answers. The log has the reason.")
        return Response(bytes(answers[0].body), answers[0].status, media_type="application/problem+json")


async def _told(path: str, target: bytes, request: Request) -> Answer | None:
    """None: it does not answer."""
    try:
        async with asyncio.timeout(WITHIN_S):
            return await ask(path, "GET", target, request.scope["headers"])
    except (OSError, TimeoutError):
        return None
