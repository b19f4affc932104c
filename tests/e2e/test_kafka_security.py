"""The bridge and a broker that not everybody may use: every way to come in, what is forbidden, new passwords."""

import asyncio
import json
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import httpx
import pytest
import pytest_asyncio
from aiohttp import web

from tests.bridge import Bridge, StartBridge
from tests.certificates import Pair
from tests.e2e.client import client
from tests.e2e.configuration import SECRET, consume, produce
from tests.e2e.records import until
from tests.kafka.guarded import GROUP, TOPIC, GuardedKafka, unsecured_token

NEEDED = {"topic allowed": "WRITE", "group readers": "READ"}
PASSWORDS = {"bridge": "the bridge's own pass word", "poor": "a password that may do little"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GuardedKafka]:
    """One broker for all tests of the module: `allowed` may be read and written by `bridge`."""
    kafka = GuardedKafka(tmp_path_factory.mktemp("guarded"), PASSWORDS)
    async with kafka:
        await kafka.create_topic("allowed", 1)
        await kafka.create_topic("closed", 1)
        await kafka.allow(
            "bridge",
            (TOPIC, "allowed", ("DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE")),
            (GROUP, "readers", ("READ", "DESCRIBE")),
        )
        await kafka.allow("poor", (TOPIC, "allowed", ("DESCRIBE",)))
        yield kafka


class TokenEndpoint:
    """Hands out tokens that the broker takes, to whoever asks; `asked` is who did."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: set[tuple[str, str, str]] = set()
        self.tokens: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        shown = b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        name, secret = map(unquote_plus, shown.split(":"))
        self.asked.add((name, secret, str((await request.post())["grant_type"])))
        self.tokens.append(unsecured_token(name))
        return web.json_response({"access_token": self.tokens[-1], "token_type": "Bearer", "expires_in": 3_600})


@pytest_asyncio.fixture
async def token_endpoint(free_port: int) -> AsyncIterator[TokenEndpoint]:
    endpoint, app = TokenEndpoint(), web.Application()
    app.router.add_post("/token", endpoint.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", free_port).start()
    endpoint.url = f"http://127.0.0.1:{free_port}/token"
    yield endpoint
    await runner.cleanup()


def config(kafka: GuardedKafka, security: Mapping[str, Any], *routes: dict[str, Any]) -> str:
    mtls = security["protocol"] == "ssl"
    port = kafka.listeners.mtls_port if mtls else kafka.listeners.sasl_port
    said = {"bootstrap_servers": f"127.0.0.1:{port}", "session_timeout_ms": 6_000, "security": security}
    return json.dumps(
        {
            "kafka": said,
            "auth": "none",
            "secret": SECRET,
            "drain": {"delay_ms": 0},
            "observe": {"log_format": "json"},
            "routes": list(routes or (produce("POST /in", "allowed"), consume("GET /out", "allowed", group="readers"))),
        }
    )


def sasl(kafka: GuardedKafka, mechanism: str = "SCRAM-SHA-512", user: str = "bridge", **more: Any) -> dict[str, Any]:
    password = {} if "password_file" in more else {"password": PASSWORDS[user]}
    said = {"protocol": "sasl_ssl", "ca": str(kafka.authority.pem), "mechanism": mechanism, "username": user}
    return {**said, **password, **more}


def mtls(kafka: GuardedKafka) -> dict[str, Any]:
    pair: Pair = kafka.authority.client("bridge")
    files = {"certificate": str(pair.certificate), "key": str(pair.key)}
    return {"protocol": "ssl", "ca": str(kafka.authority.pem), **files}


async def post(running: Bridge) -> httpx.Response:
    async with client(running.base_url) as http:
        return await http.post("/in", json={"a": 1})


@pytest.mark.parametrize("way", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "mtls"])
async def test_the_bridge_comes_in_and_writes(guarded: GuardedKafka, bridge: StartBridge, way: str) -> None:
    security = mtls(guarded) if way == "mtls" else sasl(guarded, way)
    running = await bridge(config(guarded, security, produce("POST /in", "allowed")))
    answer = await post(running)
    assert answer.status_code == 201, answer.text
    assert await running.stop() == 0
    for secret in PASSWORDS.values():
        assert secret not in running.log


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_group_reads_and_commits_through_sasl(guarded: GuardedKafka, bridge: StartBridge, workers: int) -> None:
    more = {"peer": {"listen": "127.0.0.1:23581", "secret": SECRET}} if workers > 1 else {}
    said = json.loads(config(guarded, sasl(guarded))) | more
    running = await bridge(json.dumps(said), workers=workers)
    assert (await post(running)).status_code == 201
    async with client(running.base_url) as http:
        polled = (await http.get("/out?wait=20")).json()
        assert polled["records"]
        acked = await http.post("/out/ack", json={"lease": polled["lease"], "accept": "all"})
    assert acked.status_code == 200, acked.text


async def test_a_wrong_password_is_a_503_and_no_secret_is_in_the_log(
    guarded: GuardedKafka, bridge: StartBridge
) -> None:
    wrong = {**sasl(guarded), "password": "abracadabra-abracadabra"}
    running = await bridge(config(guarded, wrong, {**produce("POST /in", "allowed", timeout_ms=2_000)}))
    answer = await post(running)
    assert answer.status_code == 503, answer.text
    assert "abracadabra" not in running.log + answer.text
    assert "Authentication" in running.log or "authentication" in running.log


async def test_what_is_missing_is_named_to_the_operator_and_not_to_the_client(
    guarded: GuardedKafka, bridge: StartBridge
) -> None:
    routes = (
        produce("POST /in", "allowed"),
        produce("POST /closed", "closed"),
        consume("GET /out", "allowed", group="g"),
    )
    running = await bridge(config(guarded, sasl(guarded, user="poor"), *routes))
    async with client(running.base_url) as http:
        for path in ("/in", "/closed"):
            answer = await http.post(path, json={"a": 1})
            assert (answer.status_code, answer.json()["code"]) == (503, "kafka_forbids"), answer.text
            assert "allowed" not in answer.text.replace('"/in"', "")
            assert "closed" not in answer.json()["detail"]
    async with client(running.admin_url) as admin:

        async def states() -> dict[str, Any]:
            found = (await admin.get("/admin/routes")).json()["routes"]
            return {route["name"]: (route["state"], route["detail"]) for route in found}

        async def named() -> bool:
            state, _ = (await states())["get-out"]
            return bool(state == "kafka_forbids")

        await until(named)
        said = await states()
    assert said["post-in"] == ("kafka_forbids", "The bridge lacks WRITE on topic allowed in Kafka: grant it.")
    assert "DESCRIBE" in said["post-closed"][1]
    assert "topic closed" in said["post-closed"][1]
    assert "READ on group g" in said["get-out"][1]
    assert '"event":"kafka_right_missing"' in running.log
    assert "WRITE on topic allowed" in running.log


async def test_check_live_prints_the_rights_that_are_needed_and_which_lack(
    guarded: GuardedKafka, tmp_path: Path
) -> None:
    file = tmp_path / "bridge.yaml"
    for user, code in (("bridge", 0), ("poor", 1)):
        file.write_text(config(guarded, sasl(guarded, user=user)))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", "check", "--live", "--config", str(file)), stdout=asyncio.subprocess.PIPE
        )
        out = (await process.communicate())[0].decode()
        table = out.partition("The rights")[2]
        lines = {
            resource: next(line for line in table.splitlines() if line.startswith(resource)) for resource in NEEDED
        }
        assert process.returncode == code, out
        for resource, operation in NEEDED.items():
            assert (operation in lines[resource].partition("lacks")[2]) == (user == "poor"), out


async def test_a_new_password_counts_for_the_connections_opened_after_a_reload(
    guarded: GuardedKafka, bridge: StartBridge, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text(PASSWORDS["bridge"] + "\n")
    route = produce("POST /in", "allowed", timeout_ms=3_000)
    running = await bridge(config(guarded, sasl(guarded, password_file=str(password)), route))
    assert (await post(running)).status_code == 201
    password.write_text("not the password any more\n")
    await _reload(running)
    assert (await post(running)).status_code == 201  # on the connections that stand
    await guarded.restart()

    async def comes_in() -> bool:
        return (await post(running)).status_code == 201

    refused = await post(running)
    assert refused.status_code in (503, 504), refused.text
    password.write_text(PASSWORDS["bridge"] + "\n")
    await _reload(running)
    await until(comes_in)
    assert "not the password" not in running.log


async def test_tokens_come_from_an_endpoint(
    guarded: GuardedKafka, bridge: StartBridge, token_endpoint: TokenEndpoint
) -> None:
    asked = {"token_url": token_endpoint.url, "client_id": "bridge", "client_secret": "a client's secret"}
    security = {"protocol": "sasl_ssl", "ca": str(guarded.authority.pem), "mechanism": "OAUTHBEARER", "oauth": asked}
    running = await bridge(config(guarded, security, produce("POST /in", "allowed")))
    answer = await post(running)
    assert answer.status_code == 201, answer.text
    assert token_endpoint.asked == {("bridge", "a client's secret", "client_credentials")}
    assert "client's secret" not in running.log
    assert token_endpoint.tokens[0] not in running.log


async def test_tokens_come_from_a_file(guarded: GuardedKafka, bridge: StartBridge, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(unsecured_token("bridge") + "\n")
    oauth = {"token_file": str(file)}
    security = {"protocol": "sasl_ssl", "ca": str(guarded.authority.pem), "mechanism": "OAUTHBEARER", "oauth": oauth}
    running = await bridge(config(guarded, security, produce("POST /in", "allowed")))
    assert (await post(running)).status_code == 201


async def _reload(running: Bridge) -> None:
    async with client(running.admin_url) as admin:
        answer = await admin.post("/admin/reload")
    assert answer.status_code == 200, answer.text
