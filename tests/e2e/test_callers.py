"""Who is let in where: every scheme, on every kind of route, with credentials of every sort, at a real bridge."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.auth.hashes import password_hash
from tests.bridge import LOGS, Bridge
from tests.certificates import Authority, Pair
from tests.e2e.configuration import config, consume, produce
from tests.e2e.records import until
from tests.e2e.test_tls import trusting
from tests.issuer import RealIssuer, SigningKey
from tests.kafka.cluster import Kafka

pytestmark = pytest.mark.asyncio(loop_scope="session")  # on which the issuer answers, too

KEYS = {"store-7": "sb_seven", "store-8": "sb_eight", "ops": "sb_ops"}
PASSWORDS = {"till-7": "correct horse", "till-8": "battery staple"}
MATERIAL = {"topic": f"callers-{uuid.uuid4().hex[:8]}"}
RIGHT = {
    "scopes": ["store:{path.store}"],
    "or": [{"schemes": ["certificate"], "principals": ["certificate:store-{path.store}"]}],
}
BODY_RIGHT = json.loads(json.dumps(RIGHT).replace("path.store", "body.store"))


def key_hash(key: str) -> str:
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def callers(kind: Mapping[str, str], hash_of: Any) -> list[dict[str, Any]]:
    return [{"name": name, "hash": hash_of(secret), "scopes": [f"store:{name[-1]}"]} for name, secret in kind.items()]


class Legacy:
    """A service behind the bridge: tells which headers it got, or sends thirty lines in a second and a half."""

    def __init__(self) -> None:
        self.url = ""
        app = web.Application()
        app.router.add_get("/legacy/{store}/slow", self._slow)
        app.router.add_route("*", "/{rest:.*}", self._headers)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> "Legacy":
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _headers(self, request: web.Request) -> web.Response:
        return web.json_response(sorted(name.lower() for name in request.headers))

    async def _slow(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(30):
            await answer.write(b"line\n")
            await asyncio.sleep(0.05)
        return answer


@dataclass
class World:
    """A bridge that asks for callers, an issuer it trusts, and certificates it knows."""

    bridge: Bridge
    issuer: RealIssuer
    authority: Authority
    kafka: Kafka
    legacy: Legacy
    pairs: dict[str, Pair] = field(default_factory=dict)

    def file(self, *, keys: Any = KEYS, basic: Any = PASSWORDS, right: Any = RIGHT) -> str:
        topic, group = MATERIAL["topic"], f"group-{MATERIAL['topic']}"
        server = self.pairs["server"]
        routes = [
            {**produce("POST /stores/{store}/stock", topic, key="{principal}"), "auth": right},
            {**produce("POST /stock", topic), "auth": BODY_RIGHT},
            {**produce("POST /batch", topic, batch=True), "auth": BODY_RIGHT},
            {**consume("GET /stores/{store}/changes", topic), "auth": right},
            {**consume("GET /stores/{store}/restock", topic, group=group), "auth": right},
            {"route": "* /legacy/{store}/{rest...}", "upstream": "legacy", "auth": right},
            {
                **produce("POST /moving", topic, key="{body.store}", headers={"by": "{principal}"}),
                "upstream": "legacy",
                "migrate": {"stage": "shadow"},
                "auth": BODY_RIGHT,
            },
            {"route": "* /legacy-open/{rest...}", "upstream": "legacy", "auth": "none"},
            {**produce("POST /open", topic), "auth": "none"},
            {**produce("POST /any", topic, key="{principal}"), "auth": "any"},
            {**consume("GET /mine", topic, from_="earliest", filter={"key": "{principal}"}), "auth": "any"},
            {
                **produce("POST /limited", topic),
                "auth": "any",
                "limits": {"rate": {"client": "2/min", "by": "{principal}"}},
            },
            {**produce("POST /shared", topic), "auth": "any", "cors": {"origins": ["https://shop.example"]}},
        ]
        auth = {
            "keys": callers(keys, key_hash),
            "basic": callers(basic, _quick_hash),
            "jwt": [{"issuer": self.issuer.url, "audience": "stepbridge", "refresh_ms": 300, "leeway_ms": 0}],
            "certificates": {},
        }
        tls = {"certificate": str(server.certificate), "key": str(server.key)}
        tls |= {"client_ca": str(self.authority.pem), "client_auth": "optional"}
        admin = {"auth": {"keys": [{"name": "ops", "hash": key_hash(KEYS["ops"])}]}}
        internal = {"bootstrap_servers": self.kafka.bootstrap, "internal": {"prefix": f"_{MATERIAL['topic']}"}}
        more = {"kafka": internal, "upstreams": {"legacy": {"url": self.legacy.url}}, "topics": {"create": True}}
        return config(self.kafka, *routes, auth=auth, server={"tls": tls}, admin=admin, **more)

    async def reload(self, **changed: Any) -> None:
        self.bridge.write_config(self.file(**changed))
        async with httpx.AsyncClient(base_url=self.bridge.admin_url) as admin:
            answer = await admin.post("/admin/reload", headers={"x-api-key": KEYS["ops"]})
        assert answer.status_code == 200, answer.text

    def client(self, pair: Pair | None = None) -> httpx.AsyncClient:
        url = f"https://127.0.0.1:{self.bridge.port}"
        return httpx.AsyncClient(base_url=url, verify=trusting(self.authority, pair), timeout=20)


_hashes: dict[str, str] = {}


def _quick_hash(password: str) -> str:
    return _hashes.setdefault(password, password_hash(password, b"0123456789abcdef"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def module_world(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("callers")
    async with RealIssuer() as issuer, Legacy() as legacy:
        authority = Authority(directory)
        pairs = {"server": authority.server(), **{name: authority.client(name) for name in ("store-7", "store-8")}}
        other = directory / "elsewhere"
        other.mkdir()
        world = World(Bridge("", directory), issuer, authority, kafka, legacy, pairs)
        world.pairs["stranger"] = Authority(other, "other").client("store-7")
        world.bridge.write_config(world.file())
        world.bridge.start()
        try:
            await world.bridge.ready()
            async with world.client() as client:
                await until(lambda: _is_served(client))
            yield world
            assert await world.bridge.stop() == 0, world.bridge.log
        finally:
            world.bridge.kill()


async def _is_served(client: httpx.AsyncClient) -> bool:
    return (await client.post("/open", content=b"x")).status_code == 201


@pytest_asyncio.fixture(loop_scope="session")
async def world(request: pytest.FixtureRequest, module_world: World) -> AsyncIterator[World]:
    """The module's world; its bridge's log is shown when the test fails."""
    request.node.stash.setdefault(LOGS, []).append(module_world.bridge.log_path)
    yield module_world


# ---- what is shown


@dataclass(frozen=True)
class Shown:
    """Credentials: headers, and a client certificate by name."""

    headers: Mapping[str, str] = field(default_factory=dict)
    pair: str | None = None


def basic(user: str, password: str) -> Shown:
    return Shown({"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()})


def bearer(token: str) -> Shown:
    return Shown({"authorization": f"Bearer {token}"})


def shown(world: World, scheme: str) -> dict[str, tuple[Shown, int, str]]:
    """For each case what is shown, and the status and code that it gets; 0 for whatever the route answers."""
    nobody = (Shown(), 401, "unauthenticated")
    refused = (401, "credentials_refused")
    token = world.issuer.token
    if scheme == "key":
        return {
            "none": nobody,
            "wrong": (Shown({"x-api-key": "sb_wrong"}), *refused),
            "twice": (Shown({"x-api-key": KEYS["store-7"], "authorization": f"Bearer {KEYS['store-7']}"}), *refused),
            "other store": (Shown({"x-api-key": KEYS["store-8"]}), 403, "right_missing"),
            "valid": (Shown({"x-api-key": KEYS["store-7"]}), 0, ""),
            "as bearer": (bearer(KEYS["store-7"]), 0, ""),
        }
    if scheme == "basic":
        return {
            "none": nobody,
            "wrong": (basic("till-7", "guess"), *refused),
            "unknown user": (basic("nobody", "correct horse"), *refused),
            "unreadable": (Shown({"authorization": "Basic !"}), *refused),
            "other store": (basic("till-8", PASSWORDS["till-8"]), 403, "right_missing"),
            "valid": (basic("till-7", PASSWORDS["till-7"]), 0, ""),
        }
    if scheme == "jwt":
        stranger = SigningKey(world.issuer.keys[-1].kid)
        good = token("alice", scope="store:7")
        return {
            "none": nobody,
            "wrong": (bearer("a.b.c"), *refused),
            "signed by another": (bearer(token("alice", key=stranger, scope="store:7")), *refused),
            "unsigned": (bearer(_unsigned(good)), *refused),
            "signed with the public key": (bearer(_signed_with_public_key(world, good)), *refused),
            "expired": (bearer(token("alice", lasts_s=-1, scope="store:7")), 401, "token_expired"),
            "not yet": (bearer(token("alice", nbf=time.time() + 60, scope="store:7")), *refused),
            "without end": (bearer(token("alice", exp=None, scope="store:7")), *refused),
            "other audience": (bearer(token("alice", aud="billing", scope="store:7")), *refused),
            "other issuer": (bearer(token("alice", iss="https://other.example", scope="store:7")), *refused),
            "other store": (bearer(token("alice", scope="store:8")), 403, "right_missing"),
            "valid": (bearer(good), 0, ""),
        }
    return {
        "none": nobody,
        "other store": (Shown(pair="store-8"), 403, "right_missing"),
        "valid": (Shown(pair="store-7"), 0, ""),
    }


def _parts(token: str) -> tuple[dict[str, Any], str]:
    head, claims, _ = token.split(".")
    return json.loads(base64.urlsafe_b64decode(head + "==")), claims


def _unsigned(token: str) -> str:
    head, claims = _parts(token)
    return f"{_encoded(json.dumps({**head, 'alg': 'none'}).encode())}.{claims}."


def _signed_with_public_key(world: World, token: str) -> str:
    """The old trick: HS256, with what everybody knows as the secret."""
    public = world.issuer.keys[-1].private.public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, claims = _parts(token)
    signed = f"{_encoded(json.dumps({**head, 'alg': 'HS256'}).encode())}.{claims}"
    return f"{signed}.{_encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# ---- what is asked


ONE = b'{"store": "7"}'
POSTS = {
    "produce": ("/stores/7/stock", ONE),
    "body": ("/stock", ONE),
    "batch": ("/batch", b"[%b,%b]" % (ONE, ONE)),
    "moving": ("/moving", ONE),
    "ack": ("/stores/7/restock/ack", b'{"lease": "x", "accept": "all"}'),
}
GETS = {"poll": "/stores/7/restock?wait=0", "feed": "/stores/7/changes?wait=0", "passthrough": "/legacy/7/stock"}


async def ask(client: httpx.AsyncClient, kind: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Status and code of one request of that kind, for store 7. Of a stream only the head is read."""
    if kind == "stream":
        accept = {"accept": "text/event-stream"}
        async with client.stream("GET", "/stores/7/changes", headers={**accept, **headers}) as stream:
            if stream.status_code != 200:
                await stream.aread()
            return stream.status_code, _code(stream)
    if kind in GETS:
        answer = await client.get(GETS[kind], headers=headers)
        return answer.status_code, _code(answer)
    path, body = POSTS[kind]
    answer = await client.post(path, content=body, headers={"content-type": "application/json", **headers})
    if answer.status_code == 207:  # each record has its own answer
        items = answer.json()["items"]
        assert len({item["status"] for item in items}) == 1
        return items[0]["status"], items[0].get("code", "")
    return answer.status_code, _code(answer)


def _code(answer: httpx.Response) -> str:
    if answer.status_code == 401:
        assert answer.headers.get_list("www-authenticate")
    is_problem = answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["code"]) if is_problem else ""


@pytest.mark.parametrize("kind", ["produce", "body", "batch", "poll", "feed", "stream", "ack", "passthrough", "moving"])
@pytest.mark.parametrize("scheme", ["key", "basic", "jwt", "certificate"])
async def test_a_route_lets_in_who_may_and_nobody_else(world: World, scheme: str, kind: str) -> None:
    written = (201, "")
    let_in = {"ack": (400, "bad_token"), "produce": written, "body": written, "batch": written}.get(kind, (200, ""))
    got, expected = {}, {}
    for case, (what, status, code) in shown(world, scheme).items():
        async with world.client(world.pairs[what.pair] if what.pair else None) as client:
            got[case] = await ask(client, kind, what.headers)
        expected[case] = (status, code) if status else let_in
    assert got == expected


async def test_a_certificate_of_another_authority_is_refused_by_the_listener(world: World) -> None:
    async with world.client(world.pairs["stranger"]) as client:
        with pytest.raises(httpx.TransportError):
            await client.post("/stores/7/stock", content=b"x")


# ---- what was right, and is no more


@pytest.mark.parametrize("scheme", ["key", "basic", "jwt", "certificate"])
async def test_what_is_revoked_is_refused_and_its_streams_end(world: World, scheme: str) -> None:
    revoked: dict[str, Any] = {
        "key": {"keys": {name: key for name, key in KEYS.items() if name != "store-7"}},
        "basic": {"basic": {"till-8": PASSWORDS["till-8"]}},
        "jwt": {},
        "certificate": {"right": {"scopes": ["store:{path.store}"]}},
    }
    what = shown(world, scheme)["valid"][0]
    headers = {"accept": "text/event-stream", **what.headers}
    async with world.client(world.pairs[what.pair] if what.pair else None) as client:
        try:
            async with client.stream("GET", "/stores/7/changes", headers=headers) as stream:
                assert stream.status_code == 200
                lines = stream.aiter_lines()
                assert (await anext(lines)).startswith("retry:")
                if scheme == "jwt":
                    world.issuer.rotate(f"key-{uuid.uuid4().hex[:4]}")
                else:
                    await world.reload(**revoked[scheme])
                ending = [line async for line in lines]
            reason = "reload" if scheme == "certificate" else "revoked"
            assert any(f'"reason":"{reason}"' in line for line in ending), ending
            status = (await ask(client, "produce", what.headers))[0]
            assert status == (403 if scheme == "certificate" else 401)
        finally:
            await world.reload()
    fresh = shown(world, scheme)["valid"][0]
    async with world.client(world.pairs[fresh.pair] if fresh.pair else None) as client:
        assert await ask(client, "produce", fresh.headers) == (201, "")


async def test_a_stream_ends_when_its_token_does(world: World) -> None:
    headers = {"accept": "text/event-stream", **bearer(world.issuer.token("a", scope="store:7", lasts_s=1.5)).headers}
    began_s = time.monotonic()
    async with world.client() as client, client.stream("GET", "/stores/7/changes", headers=headers) as stream:
        assert stream.status_code == 200
        ending = [line async for line in stream.aiter_lines()]
    assert any('"reason":"expired"' in line for line in ending), ending
    assert time.monotonic() - began_s < 10


async def test_an_answer_from_upstream_that_was_asked_for_in_time_is_brought(world: World) -> None:
    headers = bearer(world.issuer.token("a", scope="store:7", lasts_s=1.0)).headers
    async with world.client() as client, client.stream("GET", "/legacy/7/slow", headers=headers) as stream:
        lines = [line async for line in stream.aiter_lines()]
    assert lines == ["line"] * 30


async def test_credentials_go_no_further_than_the_bridge(world: World) -> None:
    shown = {"x-api-key": KEYS["store-7"], "x-other": "1"}
    async with world.client() as client:
        got = (await client.get("/legacy/7/stock", headers=shown)).json()
        assert "x-other" in got
        assert not {"x-api-key", "authorization"} & set(got)
        open_to_all = (await client.get("/legacy-open/stock", headers={**shown, "authorization": "Basic eDp5"})).json()
        assert {"x-api-key", "authorization"} <= set(open_to_all), "nobody was asked: the old service may"


async def test_two_keys_of_a_caller_are_valid_at_once(world: World) -> None:
    text = json.loads(world.file())
    text["auth"]["keys"][0]["hash"] = [key_hash("sb_new"), key_hash(KEYS["store-7"])]
    world.bridge.write_config(json.dumps(text))
    async with httpx.AsyncClient(base_url=world.bridge.admin_url) as admin:
        assert (await admin.post("/admin/reload", headers={"x-api-key": KEYS["ops"]})).status_code == 200
    async with world.client() as client:
        for key in ("sb_new", KEYS["store-7"]):
            assert await ask(client, "produce", {"x-api-key": key}) == (201, "")
    await world.reload()


# ---- beside the matrix


async def test_a_batch_is_judged_record_by_record(world: World) -> None:
    body = b'[{"store": "7"}, {"store": "8"}, {"store": "7"}]'
    headers = {"content-type": "application/json", "x-api-key": KEYS["store-7"]}
    async with world.client() as client:
        answer = await client.post("/batch", content=body, headers=headers)
        lines = b'{"store":"8"}\n{"store":"7"}\n'
        ndjson = await client.post("/batch", content=lines, headers={**headers, "content-type": "application/x-ndjson"})
    assert [item["status"] for item in answer.json()["items"]] == [201, 403, 201]
    assert answer.json()["retry"] == []
    assert [json.loads(line)["status"] for line in ndjson.text.splitlines()] == [403, 201]


async def test_open_routes_ask_nobody_and_any_asks_for_anyone_known(world: World) -> None:
    async with world.client() as client:
        assert (await client.post("/open", content=b"x")).status_code == 201
        assert (await client.post("/open", content=b"x", headers={"x-api-key": "wrong"})).status_code == 201
        assert (await client.post("/any", content=b"x")).status_code == 401
        assert (await client.post("/any", content=b"x", headers={"x-api-key": KEYS["store-8"]})).status_code == 201


async def test_preflights_need_no_credentials_and_refusals_can_be_read_by_pages(world: World) -> None:
    origin = {"origin": "https://shop.example"}
    asked = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    async with world.client() as client:
        preflight = await client.options("/shared", headers=asked)
        refusal = await client.post("/shared", headers=origin)
    assert preflight.status_code == 204
    assert {"authorization", "x-api-key"} <= set(preflight.headers["access-control-allow-headers"].split(", "))
    assert (refusal.status_code, refusal.headers["access-control-allow-origin"]) == (401, "https://shop.example")


async def test_every_way_in_is_named_and_nothing_shown_is_repeated(world: World) -> None:
    async with world.client() as client:
        answer = await client.post("/any", content=b"x", headers={"authorization": "Bearer sb_secret_that_is_wrong"})
    ways = {value.partition(" ")[0] for value in answer.headers.get_list("www-authenticate")}
    assert ways == {"ApiKey", "Basic", "Bearer", "Certificate"}
    assert "sb_secret_that_is_wrong" not in answer.text
    assert "sb_secret_that_is_wrong" not in world.bridge.log


async def test_the_admin_side_has_credentials_of_its_own(world: World) -> None:
    ops, caller = {"x-api-key": KEYS["ops"]}, {"x-api-key": KEYS["store-7"]}
    token = bearer(world.issuer.token("alice", scope="store:7")).headers
    async with httpx.AsyncClient(base_url=world.bridge.admin_url) as admin:
        for path in ("/admin/routes", "/metrics", "/openapi.json", "/readyz?strict=1", "/"):
            assert (await admin.get(path)).status_code == 401, path
            assert (await admin.get(path, headers=caller)).status_code == 401, path
            assert (await admin.get(path, headers=token)).status_code == 401, path
            assert (await admin.get(path, headers=ops)).status_code == 200, path
        assert (await admin.post("/admin/reload")).status_code == 401
        assert [(await admin.get(path)).status_code for path in ("/healthz", "/readyz")] == [200, 200]


async def test_the_issuer_is_among_what_the_bridge_depends_on(world: World) -> None:
    async with httpx.AsyncClient(base_url=world.bridge.admin_url) as admin:
        ready = (await admin.get("/readyz?strict=1", headers={"x-api-key": KEYS["ops"]})).json()
    assert {"name": "issuer jwt", "up": True, "detail": ""} in ready["dependencies"]


async def test_who_did_what_is_in_the_audit_log_and_counted(world: World) -> None:
    async with world.client() as client:
        assert await ask(client, "produce", {"x-api-key": KEYS["store-8"]}) == (403, "right_missing")
    await world.reload()
    lines = [json.loads(line) for line in world.bridge.log.splitlines() if '"logger":"audit"' in line]
    denied = [line for line in lines if line["event"] == "denied" and line["by"] == "key:store-8"]
    assert denied[-1]["route"] == "post-stores-store-stock"
    acts = [line for line in lines if line["event"] == "admin_action"]
    assert (acts[-1]["by"], acts[-1]["path"], acts[-1]["status"]) == ("key:ops", "/admin/reload", 200)
    async with httpx.AsyncClient(base_url=world.bridge.admin_url) as admin:
        metrics = (await admin.get("/metrics", headers={"x-api-key": KEYS["ops"]})).text
    assert re.search(r'stepbridge_auth_total\{(scheme="key",?|outcome="forbidden",?){2}\} [1-9]', metrics)
    assert 'stepbridge_caller_requests_total{caller="key:store-8"}' in metrics


async def test_a_caller_is_in_records_and_is_shown_its_own(world: World) -> None:
    async with world.client() as client:
        for name in ("store-7", "store-8", "store-7"):
            answer = await client.post("/any", content=name.encode(), headers={"x-api-key": KEYS[name]})
            assert answer.status_code == 201
        mine = (await client.get("/mine?wait=0", headers={"x-api-key": KEYS["store-8"]})).json()["records"]
    assert mine
    assert {record["key"] for record in mine} == {"key:store-8"}


async def test_a_rate_is_each_callers_own_and_those_who_are_refused_use_up_none(world: World) -> None:
    async def posted(key: str) -> int:
        return (await client.post("/limited", content=b"x", headers={"x-api-key": key})).status_code

    async with world.client() as client:
        assert [await posted("wrong") for _ in range(3)] == [401] * 3
        assert [await posted(KEYS["store-7"]) for _ in range(3)] == [201, 201, 429]
        assert await posted(KEYS["store-8"]) == 201


async def test_an_upload_ends_when_its_caller_is_no_longer_let_in(world: World) -> None:
    async def written() -> float:
        async with httpx.AsyncClient(base_url=world.bridge.admin_url) as admin:
            text = (await admin.get("/metrics", headers={"x-api-key": KEYS["ops"]})).text
        found = re.findall(r'stepbridge_records_total\{.*"written".*route="post-batch".*\} (\S+)', text)
        return sum(map(float, found))

    before = await written()

    async def more() -> bool:
        return await written() > before

    async def lines() -> AsyncIterator[bytes]:
        yield b'{"store":"7"}\n'
        await until(more)
        await world.reload(keys={"store-8": KEYS["store-8"]})
        yield b'{"store":"7"}\n'

    headers = {"content-type": "application/x-ndjson", "x-api-key": KEYS["store-7"]}
    try:
        async with world.client() as client:
            answer = await client.post("/batch", content=lines(), headers=headers)
        results = [json.loads(line) for line in answer.text.splitlines()]
        assert [(each["status"], each.get("code")) for each in results] == [(201, None), (401, "credentials_refused")]
    finally:
        await world.reload()
