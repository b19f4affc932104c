"""The admin side of all workers together. What one worker knows as well as another, one of them is asked."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.admin.door import Door
from proxy.admin.guard import Guard
from proxy.admin.loglevel import log_level_route
from proxy.admin.operations import RouteState
from proxy.admin.problem import BadConfiguration, NotReady, failed, not_served, refused
from proxy.admin.states import route_states
from proxy.config.mistake import ConfigMistakes
from proxy.config.model import Config, LogLevel
from proxy.errors import ProxyError
from proxy.observe.exposition import render
from proxy.observe.metrics import Snapshot
from proxy.workers.forward import Answer, ask
from proxy.workers.reports import report_routes

FORWARD_WITHIN_S = 5.0
CHANGE_WITHIN_S = 20.0  # of a stage: all replicas take part in it
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Fleet(Protocol):
    """The workers, as their admin side sees them (`supervisor.py`)."""

    def config(self) -> Config:
        """The configuration in force."""
        ...

    def ready(self) -> bool:
        """True while one worker serves at least, and until drain begins."""
        ...

    def admin_paths(self) -> Sequence[str]:
        """The Unix sockets of the workers that answer."""
        ...

    async def snapshot(self) -> Snapshot:
        """What all have counted, together."""
        ...

    async def reload(self) -> Sequence[str]:
        """See `Operations.reload`; in all workers or, if the file has mistakes, in none."""
        ...

    def log_from(self, level: LogLevel) -> None:
        """See `Operations.log_from`; in this process and in all workers."""
        ...


def admin_app(fleet: Fleet) -> Starlette:
    """The ASGI application for the admin port."""
    endpoints = _Endpoints(fleet)
    return Starlette(
        routes=[
            Route("/healthz", endpoints.healthz),
            Route("/readyz", endpoints.readyz),
            Route("/metrics", endpoints.metrics),
            Route("/admin/routes", endpoints.routes),
            Route("/admin/migration", endpoints.migrations),
            *report_routes(fleet),
            Route("/admin/reload", endpoints.reload, methods=["POST"]),
            log_level_route(fleet),
            Route("/{path:path}", endpoints.forward, methods=METHODS),
        ],
        middleware=[Middleware(Guard), Middleware(Door, fleet.config)],
        exception_handlers={ProxyError: refused, HTTPException: not_served, Exception: failed},
    )


class _Endpoints:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def healthz(self, request: Request) -> Response:
        """The supervisor works: this answer is the proof."""
        return _json({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Should requests be sent here? With `?strict=1` a worker also says what it lacks."""
        if not self._fleet.ready():
            raise NotReady("No worker serves, or the bridge is draining.")
        if request.query_params.get("strict", "0") != "0":
            return await self.forward(request)
        return _json({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        accept = request.headers.get("accept", "")
        body, content_type = await asyncio.to_thread(render, await self._fleet.snapshot(), accept)
        return Response(body, media_type=content_type)

    async def routes(self, request: Request) -> Response:
        """Their states as one worker sees them, their numbers from all."""
        answer = await self._asked(request, self._fleet.admin_paths())
        if answer.status != 200:
            return _as_it_is(answer)
        states = {
            each["name"]: RouteState(each["state"], each["detail"], each["migration"])
            for each in orjson.loads(answer.body)["routes"]
        }
        return _json({"routes": route_states(self._fleet.config(), states, await self._fleet.snapshot())})

    async def migrations(self, request: Request) -> Response:
        """As one worker knows it; and of each worker, as of when it knows it."""
        answers = [await self._asked(request, [path]) for path in self._fleet.admin_paths()]
        found = [orjson.loads(answer.body) for answer in answers if answer.status == 200]
        if not found:
            raise NotReady("No worker answers. The log has the reason.")
        here = ("replica", "is_fresh", "known_age_s", "trouble")
        return _json(found[0] | {"workers": [{name: each[name] for name in here} for each in found]})

    async def reload(self, request: Request) -> Response:
        try:
            changed = await self._fleet.reload()
        except ConfigMistakes as exc:
            detail = f"The old configuration stays in force. In the file: {len(exc.mistakes)} to put right."
            raise BadConfiguration(detail, extra={"mistakes": [str(mistake) for mistake in exc.mistakes]}) from None
        return _json({"changed": changed})

    async def forward(self, request: Request) -> Response:
        """Whatever else there is: a worker answers it."""
        return _as_it_is(await self._asked(request, self._fleet.admin_paths()))

    async def _asked(self, request: Request, paths: Sequence[str]) -> Answer:
        """The answer of one of the workers. Only a request that changes nothing is put to a second when one fails."""
        scope = request.scope
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        body = await request.body()
        is_change = scope["path"].startswith("/admin/migration") and request.method == "POST"
        within_s = CHANGE_WITHIN_S if is_change else FORWARD_WITHIN_S
        for path in paths:
            try:
                async with asyncio.timeout(within_s):
                    return await ask(path, request.method, target, scope["headers"], body)
            except (OSError, TimeoutError):
                if request.method not in ("GET", "HEAD"):
                    break
        raise NotReady("No worker answers. The log has the reason.")


def _as_it_is(answer: Answer) -> Response:
    response = Response(bytes(answer.body), answer.status)
    response.raw_headers += [header for header in answer.headers if header[0] != b"date"]
    return response


def _json(document: Any) -> Response:
    return Response(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE), media_type="application/json")
