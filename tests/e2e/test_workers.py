"""Several workers on one port: they serve as one bridge, one of them dies alone, and all stop together."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.bridge import Bridge, StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, consume, produce
from tests.e2e.records import until
from tests.e2e.test_admin import number
from tests.e2e.test_drain import draining
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll
from tests.kafka.node import free_port

WRITTEN = {"route": "post-w", "status": "201"}


def worker_of(answer: httpx.Response) -> str:
    """Which process answered: its request ids begin alike."""
    return answer.headers["x-request-id"].partition("-")[0]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def asked(running: Bridge, path: str, times: int = 40) -> tuple[set[str], set[int]]:
    """POST over many new connections: the workers that answered, and the statuses."""
    async with client(running.base_url) as http:
        answers = [await http.post(path, headers={"connection": "close"}) for _ in range(times)]
    return {worker_of(answer) for answer in answers}, {answer.status_code for answer in answers}


async def metric(running: Bridge, name: str, **labels: str) -> float:
    async with client(running.admin_url) as admin:
        return await number(admin, name, **labels)


async def is_up(running: Bridge, workers: int) -> bool:
    return await metric(running, "stepbridge_workers_up") == workers


class Clients:
    """Clients that post over one connection each, for as long as it lasts; then, with `again`, over another."""

    def __init__(self, running: Bridge, count: int, *, again: bool) -> None:
        self.taken: list[bytes] = []
        self.workers: list[set[str]] = [set() for _ in range(count)]  # by client: who answered since it last connected
        self.cut: list[set[str]] = []  # who had answered a connection that failed under a request
        self.closed: list[set[str]] = []  # who had answered one that was found closed before the next request
        self._base_url = running.base_url
        self._again = again
        self._stop = False
        self._tasks = [asyncio.create_task(self._post(which)) for which in range(count)]

    async def have(self, more: int) -> None:
        """Wait for so many more answers."""
        enough = len(self.taken) + more
        async with asyncio.timeout(20):
            while len(self.taken) < enough:
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)

    async def _post(self, which: int) -> None:
        number = 0
        while not self._stop:
            self.workers[which] = set()
            async with client(self._base_url) as http:
                try:
                    while not self._stop:
                        number += 1
                        await self._one(http, which, b"%d/%d" % (which, number))
                except httpx.ConnectError:
                    return  # the listener is closed
                except httpx.TransportError:
                    self.cut.append(self.workers[which])
                    if not self._again:
                        return

    async def _one(self, http: httpx.AsyncClient, which: int, value: bytes) -> None:
        answer = await http.post("/w", content=value)
        assert answer.status_code == 201
        worker = worker_of(answer)
        if self.workers[which] - {worker}:
            self.closed.append(self.workers[which])
            self.workers[which] = set()
        self.workers[which].add(worker)
        self.taken.append(value)


@asynccontextmanager
async def watched(read: Callable[[], "asyncio.Future[float]"]) -> AsyncIterator[list[float]]:
    """What `read` tells, again and again, meanwhile."""
    seen: list[float] = []

    async def watch() -> None:
        while True:
            seen.append(await read())

    watching = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


# ---- as one bridge


async def test_all_workers_serve_and_are_told_of_as_one_bridge(bridge: StartBridge, kafka: Kafka, name: str) -> None:
    await kafka.create_topic(name)
    running = await bridge(config(kafka, produce("POST /w", name)), workers=2)
    workers, statuses = await asked(running, "/w")
    assert (len(workers), statuses) == (2, {201})
    assert await metric(running, "stepbridge_requests_total", **WRITTEN) == 40
    assert await metric(running, "stepbridge_request_seconds_count", route="post-w") == 40
    assert await metric(running, "stepbridge_workers") == 2
    async with client(running.admin_url) as admin:
        (route,) = (await admin.get("/admin/routes")).json()["routes"]
        assert (route["requests"], route["state"]) == ({"201": 40}, "serving")
        assert "/w" in (await admin.get("/openapi.json")).json()["paths"]
        assert "Stepbridge" in (await admin.get("/")).text
        assert (await admin.get("/readyz?strict=1")).json()["status"] == "ready"
        assert (await admin.head("/healthz")).status_code == 200
        for answer, status in (
            (await admin.get("/nowhere"), 404),
            (await admin.post("/admin/groups"), 405),
            (await admin.post("/admin/reload", content=b"x" * 5_000), 413),
            (await admin.post("/admin/reload", headers={"origin": "https://elsewhere.example"}), 403),
        ):
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert running.log.count('"event":"listening"') == 1
    assert await running.stop() == 0


async def test_the_members_of_a_group_are_told_of_as_one_group(bridge: StartBridge, kafka: Kafka, name: str) -> None:
    await kafka.create_topic(name, 2)
    peer = {"listen": f"127.0.0.1:{free_port()}", "secret": "a secret of peers alone"}
    running = await bridge(config(kafka, consume("GET /r", name, group=name), peer=peer), workers=2)

    async def have_one_partition_each() -> bool:
        return all(f'"worker":{worker},"group":"{name}","count":1' in running.log for worker in (0, 1))

    await until(have_one_partition_each, within_s=20)
    async with client(running.admin_url) as admin:
        (group,) = (await admin.get("/admin/groups")).json()["groups"]
    assert sorted(each["partition"] for each in group["partitions"]) == [0, 1]
    assert (group["group"], group["is_joined"]) == (name, True)
    assert await running.stop() == 0


async def test_a_reload_reaches_every_worker_and_a_bad_file_none_not_even_a_worker_started_later(
    bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name)
    running = await bridge(config(kafka, produce("POST /old", name)), workers=2)
    async with client(running.admin_url) as admin:
        running.write_config(config(kafka, produce("POST /new", name)))
        answer = await admin.post("/admin/reload")
        assert (answer.status_code, len(answer.json()["changed"])) == (200, 2)
        workers, statuses = await asked(running, "/new")
        assert (len(workers), statuses) == (2, {201})
        assert (await asked(running, "/old"))[1] == {404}
        running.write_config(config(kafka, produce("POST /newer", name), limit={}))
        answer = await admin.post("/admin/reload")
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_configuration")
        os.kill(running.workers[0], signal.SIGKILL)
        await until(lambda: is_up(running, 1), within_s=5)
        await until(lambda: is_up(running, 2), within_s=10)
        assert (await asked(running, "/new"))[1] == {201}
        running.write_config(config(kafka, produce("POST /newest", name)))
        running.signal(signal.SIGHUP)

        async def is_there() -> bool:
            return (await asked(running, "/newest"))[1] == {201}

        await until(is_there, within_s=10)


# ---- one dies, or hangs


async def test_a_killed_worker_takes_only_its_own_connections_with_it_and_is_back(
    bridge: StartBridge, kafka: Kafka, name: str, consume_all: ConsumeAll
) -> None:
    await kafka.create_topic(name, 2)
    running = await bridge(config(kafka, produce("POST /w", name)), workers=2)
    victim = running.workers[1]
    clients = Clients(running, 16, again=True)

    def requests() -> "asyncio.Future[float]":
        return asyncio.ensure_future(metric(running, "stepbridge_requests_total", **WRITTEN))

    async with watched(requests) as seen:
        await clients.have(300)
        served = set.union(*clients.workers)
        connected = [workers for workers in clients.workers if workers]
        os.kill(victim, signal.SIGKILL)
        await until(lambda: _changed(running, 1, victim), within_s=15)
        await clients.have(300)
        await clients.end()
        last = await requests()
    assert len(served) == 2
    ended = clients.cut + clients.closed
    (gone,) = set.union(*ended)  # one worker alone had answered them
    assert len(ended) == len([workers for workers in connected if workers == {gone}])
    assert seen == sorted(seen), "the requests that are counted went backwards"
    assert last >= seen[-1]
    assert len(clients.taken) - 2_000 < last <= len(clients.taken) + 16  # without the dead worker's last second
    assert set(clients.taken) <= {record.value for record in await consume_all(name)}
    assert await metric(running, "stepbridge_worker_restarts_total") == 1
    assert '"ended":"by SIGKILL"' in running.log
    workers, statuses = await asked(running, "/w")
    assert (len(workers - {gone}), statuses) == (2, {201})
    assert await running.stop() == 0


async def _changed(running: Bridge, worker: int, pid: int) -> bool:
    return running.workers[worker] != pid


async def test_a_worker_that_hangs_holds_up_neither_the_metrics_nor_readiness(
    bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name)
    running = await bridge(config(kafka, produce("POST /w", name)), workers=2)
    await asked(running, "/w")
    assert await metric(running, "stepbridge_requests_total", **WRITTEN) == 40
    os.kill(running.workers[0], signal.SIGSTOP)
    began_s = time.monotonic()
    assert await metric(running, "stepbridge_workers_up") == 1
    assert time.monotonic() - began_s < 3
    assert await metric(running, "stepbridge_requests_total", **WRITTEN) == 40
    async with client(running.admin_url, timeout_s=3) as admin:
        assert (await admin.get("/readyz")).status_code == 200
        assert (await admin.get("/admin/routes")).status_code == 200
    os.kill(running.workers[0], signal.SIGCONT)
    await until(lambda: is_up(running, 2), within_s=5)
    assert await metric(running, "stepbridge_requests_total", **WRITTEN) == 40


@pytest.mark.long
async def test_a_worker_that_goes_on_hanging_is_ended_and_another_takes_its_place(
    bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name)
    running = await bridge(config(kafka, produce("POST /w", name)), workers=2)
    frozen = running.workers[0]
    os.kill(frozen, signal.SIGSTOP)
    await until(lambda: _changed(running, 0, frozen), within_s=60)
    assert '"event":"worker_hangs"' in running.log
    await until(lambda: is_up(running, 2), within_s=10)
    assert await metric(running, "stepbridge_worker_restarts_total") == 1
    workers, statuses = await asked(running, "/w")
    assert (len(workers), statuses) == (2, {201})


# ---- all stop


async def test_a_drain_of_two_workers_under_load_cuts_nothing_off(
    bridge: StartBridge, kafka: Kafka, name: str, consume_all: ConsumeAll
) -> None:
    await kafka.create_topic(name, 2)
    running = await bridge(config(kafka, produce("POST /w", name), drain=draining(500)), workers=2)
    clients = Clients(running, 16, again=False)
    await clients.have(300)
    workers = set.union(*clients.workers)
    assert await running.stop() == 0, running.log
    await clients.end()
    assert len(workers) == 2
    assert sorted(record.value or b"" for record in await consume_all(name)) == sorted(clients.taken)
    assert len(clients.cut) <= 1, f"{len(clients.cut)} connections were ended under a request"
    assert not any(map(runs, running.workers.values()))


async def test_workers_end_by_themselves_when_their_supervisor_is_killed(
    bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name)
    running = await bridge(config(kafka, produce("POST /w", name)), workers=2)
    pids = running.workers.values()
    running.signal(signal.SIGKILL)

    async def are_gone() -> bool:
        return not any(map(runs, pids))

    await until(are_gone, within_s=10)
    assert running.log.count('"event":"supervisor_lost"') == 2
    assert running.log.count('"event":"stopped"') == 2


@pytest.mark.parametrize("second", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
async def test_a_second_signal_ends_all_at_once(
    second: signal.Signals, bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name)
    running = await bridge(config(kafka, produce("POST /w", name), drain=draining(60_000)), workers=2)
    running.signal(signal.SIGTERM)
    await until(lambda: _is_draining(running))
    began_s = time.monotonic()
    running.signal(second)
    assert await running.ended() == 128 + second

    async def are_gone() -> bool:  # they were killed, which a busy machine takes its time for
        return not any(map(runs, running.workers.values()))

    await until(are_gone, within_s=2)
    assert time.monotonic() - began_s < 2


async def _is_draining(running: Bridge) -> bool:
    return running.log.count('"event":"drain_began"') == 3


async def test_ctrl_c_at_a_terminal_drains_all_without_delay(bridge: StartBridge, kafka: Kafka, name: str) -> None:
    """It goes to the whole process group: to the workers it would be a second signal after the supervisor's."""
    await kafka.create_topic(name)
    running = await bridge(config(kafka, produce("POST /w", name), drain=draining(60_000)), workers=2)
    began_s = time.monotonic()
    os.killpg(running.pid, signal.SIGINT)
    assert await running.ended() == 0
    assert time.monotonic() - began_s < 5


@pytest.mark.long
async def test_a_worker_that_hangs_in_the_drain_is_ended_and_the_exit_code_says_so(
    bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name)
    running = await bridge(config(kafka, produce("POST /w", name), drain=draining(0, 1_000)), workers=2)
    os.kill(running.workers[0], signal.SIGSTOP)
    assert await running.stop() == 1
    assert not any(map(runs, running.workers.values()))


async def test_workers_that_are_told_to_stop_by_others_too_drain_all_the_same(
    bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    """A service manager may send SIGTERM to every process: to a worker it would be a second signal."""
    await kafka.create_topic(name)
    running = await bridge(config(kafka, produce("POST /w", name), drain=draining(1_500)), workers=2)
    running.signal(signal.SIGTERM)
    await until(lambda: _is_draining(running))
    for pid in running.workers.values():
        os.kill(pid, signal.SIGTERM)
    assert (await asked(running, "/w", times=10))[1] == {201}
    assert await running.ended() == 0
    assert running.log.count('"event":"stopped"') == 3


@pytest.mark.parametrize(("first", "second"), [(2, 1), pytest.param(1, 2, marks=pytest.mark.long)])
async def test_the_port_can_be_had_again_at_once(
    first: int, second: int, bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    """Connections that the bridge has closed are remembered by the kernel for a minute."""
    await kafka.create_topic(name)
    text = config(kafka, produce("POST /w", name))
    running = await bridge(text, workers=first)
    await asked(running, "/w", times=10)
    assert await running.stop() == 0
    again = await bridge(text, "--port", str(running.port), workers=second)
    async with client(running.base_url) as http:
        assert (await http.post("/w")).status_code == 201
    assert await again.stop() == 0


# ---- what keeps it from starting


async def test_a_port_that_is_taken_is_told_even_if_the_other_shares_it(
    bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    text = config(kafka, produce("POST /w", name))
    first = await bridge(text, workers=2)
    second = await bridge(text, "--port", str(first.port), workers=2, ready=False)
    assert await second.ended() == 1
    assert f"stepbridge cannot listen: on 127.0.0.1:{first.port}: Address already in use" in second.log


async def test_workers_that_cannot_start_are_not_started_for_ever(
    bridge: StartBridge, kafka: Kafka, name: str, tmp_path: Path
) -> None:
    """No socket can listen at a path of this length."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    text = config(kafka, produce("POST /w", name))
    running = await bridge(text, workers=2, env={"TMPDIR": str(long)}, ready=False)
    assert await running.ended(within_s=20) == 1
    assert "stepbridge cannot listen: AF_UNIX path too long" in running.log
    assert running.log.count('"event":"worker_serving"') == 0
    assert not list(long.iterdir())
