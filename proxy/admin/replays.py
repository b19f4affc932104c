"""The admin side's endpoints of replays to the service behind a route. What they are told stands in the query."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.admin.answer import answer
from proxy.admin.operations import Operations


def replay_routes(operations: Operations) -> Sequence[Route]:
    endpoints = _Replays(operations)
    return [
        Route("/admin/migration/{name}/replay", endpoints.state, methods=["GET"]),
        Route("/admin/migration/{name}/replay", endpoints.start, methods=["POST"]),
        Route("/admin/migration/{name}/replay/stop", endpoints.stop, methods=["POST"]),
    ]


class _Replays:
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def state(self, request: Request) -> Response:
        return answer(await self._operations.replays().state(request.path_params["name"]))

    async def start(self, request: Request) -> Response:
        """It runs on by itself: `state` tells how far it is."""
        name = request.path_params["name"]
        follow, skip_refused = (request.query_params.get(key, "0") != "0" for key in ("follow", "skip_refused"))
        return answer(await self._operations.replays().start(name, follow=follow, skip_refused=skip_refused))

    async def stop(self, request: Request) -> Response:
        return answer(await self._operations.replays().stop(request.path_params["name"]))
