"""The admin side's endpoints of how ready a route is for its next stage."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.admin.answer import answer
from proxy.admin.operations import Operations
from proxy.migrate.report import losses, report
from proxy.migrate.route import RouteOnItsWay


def report_routes(operations: Operations) -> Sequence[Route]:
    endpoints = _Reports(operations)
    one = "/admin/migration/{name}"
    return [
        Route(f"{one}/report", endpoints.report),
        Route(f"{one}/losses", endpoints.losses),
        Route(f"{one}/notes", endpoints.notes),
    ]


class _Reports:
    """Of this process; `workers/reports.py` puts several together."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def report(self, request: Request) -> Response:
        way = self._way(request)
        return answer(report(way.name, self._operations.snapshot(), [way.account.notes()]))

    async def losses(self, request: Request) -> Response:
        return answer({"losses": losses(self._way(request).shadow)})

    async def notes(self, request: Request) -> Response:
        """What this process adds to the report that no metric holds."""
        return answer(self._way(request).account.notes())

    def _way(self, request: Request) -> RouteOnItsWay:
        return self._operations.way(request.path_params["name"])
