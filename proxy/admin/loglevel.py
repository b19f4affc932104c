"""The least that is logged, asked for and changed while the bridge runs. The same for one process and for workers.

What is set here holds for all workers, also for those that start later, until a reload puts the file's in force again.
"""

from typing import Protocol, cast, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.admin.answer import answer
from proxy.config.model import Config, LogLevel
from proxy.errors import Malformed

PATH = "/admin/log-level"


class Leveled(Protocol):
    """Whose level it is: a bridge, or all its workers."""

    def config(self) -> Config:
        """The configuration in force."""
        ...

    def log_from(self, level: LogLevel) -> None:
        """Log what is of this level or above, from now on."""
        ...


def log_level_route(leveled: Leveled) -> Route:
    """GET tells the level; POST with `?level=debug` sets it."""

    async def log_level(request: Request) -> Response:
        if request.method == "POST":
            leveled.log_from(_level(request.query_params.get("level", "")))
        return answer({"level": leveled.config().observe.log_level})

    return Route(PATH, log_level, methods=["GET", "POST"])


def _level(said: str) -> LogLevel:
    levels: tuple[str, ...] = get_args(LogLevel)
    if said not in levels:
        raise Malformed(f"`level` must be one of {', '.join(levels)}: POST {PATH}?level=debug.")
    return cast(LogLevel, said)
