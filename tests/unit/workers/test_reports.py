"""What all workers tell of one route's migration: from scripted workers, behind their sockets."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from starlette.applications import Starlette

from proxy.admin.problem import failed, refused
from proxy.errors import ProxyError
from proxy.migrate.account import Account
from proxy.migrate.redaction import Redaction
from proxy.migrate.report import samples
from proxy.observe.metrics import Metrics, Snapshot
from proxy.workers.reports import report_routes
from tests.unit.workers.test_forward import answering


class ScriptedWorkers:
    """Workers that say one thing each to whatever they are asked; None: one that hangs up."""

    def __init__(self, place: Path, metrics: Metrics) -> None:
        self._place = place
        self._metrics = metrics
        self._stack = AsyncExitStack()
        self.asked: list[list[bytes]] = []
        self.paths: list[str] = []

    async def say(self, *answers: Any, status: bytes = b"200 OK") -> None:
        for document in answers:
            path = self._place / f"{len(self.paths)}.sock"
            body = orjson.dumps(document)
            said = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
            self.asked.append(await self._stack.enter_async_context(answering(path, b"" if document is None else said)))
            self.paths.append(str(path))

    async def close(self) -> None:
        await self._stack.aclose()

    def admin_paths(self) -> Sequence[str]:
        return self.paths

    async def snapshot(self) -> Snapshot:
        return self._metrics.snapshot()


@pytest.fixture
async def workers(tmp_path: Path, account: Account) -> AsyncIterator[ScriptedWorkers]:
    metrics = Metrics()
    metrics.add_source(lambda: samples(account))
    scripted = ScriptedWorkers(tmp_path, metrics)
    yield scripted
    await scripted.close()


@pytest.fixture
def account() -> Account:
    return Account("orders", Redaction(None))


@pytest.fixture
async def http(workers: ScriptedWorkers) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=report_routes(workers), exception_handlers={ProxyError: refused, Exception: failed})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge") as client:
        yield client


async def test_numbers_are_the_metrics_and_examples_those_of_the_workers_that_answer(
    http: httpx.AsyncClient, workers: ScriptedWorkers, account: Account
) -> None:
    account.request("shadow", "till-1")
    notes = account.notes()
    account.request("shadow", "till-2")
    await workers.say(notes, None, account.notes())
    told = (await http.get("/admin/migration/orders/report")).json()
    assert told["requests"]["total"] == 2
    assert {each["caller"]: each["requests"] for each in told["callers"]["latest"]} == {"till-1": 2, "till-2": 1}
    assert workers.asked[0][0].startswith(b"GET /admin/migration/orders/notes HTTP/1.1")


async def test_losses_are_those_of_all(http: httpx.AsyncClient, workers: ScriptedWorkers) -> None:
    await workers.say({"losses": [{"time_ms": 5}, {"time_ms": 1}]}, {"losses": [{"time_ms": 3}]})
    told = (await http.get("/admin/migration/orders/losses")).json()
    assert told == {"losses": [{"time_ms": 5}, {"time_ms": 3}, {"time_ms": 1}]}


async def test_a_route_that_no_worker_knows_is_refused_in_their_words(
    http: httpx.AsyncClient, workers: ScriptedWorkers
) -> None:
    await workers.say({"code": "no_migration"}, status=b"404 Not Found")
    answer = await http.get("/admin/migration/orders/report")
    assert (answer.status_code, answer.json()) == (404, {"code": "no_migration"})


async def test_without_a_worker_that_answers_there_is_no_report(
    http: httpx.AsyncClient, workers: ScriptedWorkers
) -> None:
    await workers.say(None)
    assert (await http.get("/admin/migration/orders/report")).status_code == 503
