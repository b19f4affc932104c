"""The admin side's endpoints. Each asks `Operations` once and shapes the answer.

It binds to loopback unless the configuration says otherwise. No request has a body worth reading, so none is read;
and a page of another origin in an operator's browser cannot make the bridge do anything.
"""

import asyncio

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from proxy.admin.answer import answer
from proxy.admin.door import Door
from proxy.admin.groups import group_routes
from proxy.admin.guard import Guard
from proxy.admin.index import CONTENT_SECURITY_POLICY, index_page
from proxy.admin.loglevel import log_level_route
from proxy.admin.migration_report import report_routes
from proxy.admin.migrations import migration_routes
from proxy.admin.openapi import openapi
from proxy.admin.operations import Operations
from proxy.admin.problem import BadConfiguration, NotReady, failed, not_served, refused
from proxy.admin.replays import replay_routes
from proxy.admin.states import route_states
from proxy.config.mistake import ConfigMistakes
from proxy.errors import ProxyError
from proxy.observe.exposition import render


def admin_app(operations: Operations, *, is_private: bool = False) -> Starlette:
    """The ASGI application for the admin port. `is_private`: only a supervisor gets there."""
    endpoints = _Endpoints(operations)
    return Starlette(
        routes=[
            Route("/", endpoints.index),
            Route("/healthz", endpoints.healthz),
            Route("/readyz", endpoints.readyz),
            Route("/metrics", endpoints.metrics),
            Route("/openapi.json", endpoints.openapi),
            Route("/admin/routes", endpoints.routes),
            Route("/admin/upstreams", endpoints.upstreams),
            *group_routes(operations),
            *migration_routes(operations),
            *replay_routes(operations),
            *report_routes(operations),
            Route("/admin/reload", endpoints.reload, methods=["POST"]),
            log_level_route(operations),
        ],
        middleware=[Middleware(Guard), Middleware(Door, operations.config, is_private)],
        exception_handlers={ProxyError: refused, HTTPException: not_served, Exception: failed},
    )


class _Endpoints:
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def index(self, request: Request) -> Response:
        return HTMLResponse(index_page(), headers={"content-security-policy": CONTENT_SECURITY_POLICY})

    async def healthz(self, request: Request) -> Response:
        """The process works: this answer is the proof."""
        return answer({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Should requests be sent here? With `?strict=1` a missing dependency makes it a no."""
        if request.query_params.get("strict", "0") == "0":
            if not self._operations.ready():
                raise NotReady("The bridge is starting or draining.")
            return answer({"status": "ready"})
        dependencies = self._operations.dependencies()
        missing = [dependency.name for dependency in dependencies if not dependency.up]
        if missing or not self._operations.ready():
            reason = f"Missing: {', '.join(missing)}." if missing else "The bridge is starting or draining."
            raise NotReady(reason, extra={"dependencies": dependencies})
        return answer({"status": "ready", "dependencies": dependencies})

    async def metrics(self, request: Request) -> Response:
        """Rendered in a thread: a thousand routes take 0.2 s, which no request should wait for."""
        accept = request.headers.get("accept", "")
        body, content_type = await asyncio.to_thread(render, self._operations.snapshot(), accept)
        return Response(body, media_type=content_type)

    async def openapi(self, request: Request) -> Response:
        return answer(openapi(self._operations.config()))

    async def routes(self, request: Request) -> Response:
        operations = self._operations
        return answer({"routes": route_states(operations.config(), operations.routes(), operations.snapshot())})

    async def upstreams(self, request: Request) -> Response:
        """As one worker sees them: each has its own connections, breakers and checks."""
        return answer({"upstreams": self._operations.upstreams()})

    async def reload(self, request: Request) -> Response:
        try:
            changed = await self._operations.reload()
        except ConfigMistakes as exc:
            detail = f"The old configuration stays in force. In the file: {len(exc.mistakes)} to put right."
            raise BadConfiguration(detail, extra={"mistakes": [str(mistake) for mistake in exc.mistakes]}) from None
        return answer({"changed": changed})
