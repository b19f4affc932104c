"""What asking who a caller is costs a request: `python -m tests.load.callers` prints µs of CPU, scheme by scheme.

The door alone, in this process, without sockets: a request as uvicorn hands it over, and an endpoint that does nothing.
Best of several rounds, for other work on the machine only ever adds. `open` is the same without a door.
"""

import asyncio
import base64
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt as pyjwt

from proxy.auth.hashes import key_hash, password_hash
from proxy.auth.keyset import KeySet
from proxy.auth.tokens import TokenRules, read_head
from proxy.config.callers import Auth, Issuer, RouteAuth
from proxy.config.model import Config
from proxy.http.dispatch import Handler
from proxy.http.doors import Doors
from proxy.http.entrance import Entrance
from proxy.http.exchange import Exchange
from proxy.tls import ClientCertificate
from tests.issuer import SigningKey

REQUESTS, ROUNDS = 20_000, 5
URL = "https://id.example"
RIGHT = {"scopes": ["store:{path.store}"]}
BROWSERS = [(b"host", b"a"), (b"user-agent", b"curl/8"), (b"accept", b"*/*"), (b"content-type", b"application/json")]


class Keys:
    """`SigningKeys` that are there."""

    def __init__(self, key: SigningKey) -> None:
        self.on_change: Callable[[], None] = _nobody_asked
        self._keys = KeySet.read({"keys": [key.public()]})

    @property
    def is_there(self) -> bool:
        return True

    def replace(self, key: SigningKey) -> None:
        self._keys = KeySet.read({"keys": [key.public()]})
        self.on_change()

    def find(self, kid: str | None, algorithm: str) -> Any:
        return self._keys.find(kid, algorithm)

    def has(self, kid: str | None) -> bool:
        return self._keys.has(kid)

    async def renew(self) -> None: ...


class Shown:
    """What a connection has of TLS."""

    def __init__(self) -> None:
        self.client_certificate: ClientCertificate | None = ClientCertificate("CN=store-7", "store-7")


def exchange(headers: Mapping[bytes, bytes]) -> Exchange:
    scope = {
        "method": "POST",
        "path": "/stores/7/stock",
        "query_string": b"",
        "headers": [*BROWSERS, *headers.items()],
        "client": ("127.0.0.1", 1),
        "extensions": {"stepbridge": Shown()},
    }
    made = Exchange(scope, None, None)  # type: ignore[arg-type]  # nobody reads or writes here
    made.path = {"store": "7"}
    return made


async def cost_us(handle: Handler, headers: Mapping[bytes, bytes], requests: int = REQUESTS) -> float:
    """CPU of one request, its own making left out, in µs."""
    best_s = float("inf")
    await handle(exchange(headers))
    for _ in range(ROUNDS):
        waiting = [exchange(headers) for _ in range(requests)]
        began_s = time.process_time()
        for one in waiting:
            await handle(one)
        best_s = min(best_s, time.process_time() - began_s)
    return best_s / requests * 1e6


async def measure(requests: int = REQUESTS) -> dict[str, float]:
    """µs for each way in."""
    key = SigningKey("a")
    auth = Auth.model_validate(
        {
            "keys": [
                {"name": f"store-{i}", "hash": key_hash(f"sb_{i}"), "scopes": [f"store:{i}"]} for i in range(1_000)
            ],
            "basic": [{"name": "till", "hash": password_hash("pw", b"0123456789abcdef"), "scopes": ["store:7"]}],
            "jwt": [{"issuer": URL, "audience": "stepbridge"}],
            "certificates": {"scopes": ["store:7"]},
        }
    )
    route = {"route": "POST /stores/{store}/stock", "produce": {"topic": "a"}, "auth": RouteAuth.model_validate(RIGHT)}
    config = Config.model_validate({"kafka": {"bootstrap_servers": "a:1"}, "auth": auth, "routes": [route]})
    doors = Doors(Entrance(lambda _: Keys(key)))
    doors.follow(config)
    door = doors.guarded(config.routes[0], _nothing)
    claims = {"iss": URL, "aud": "stepbridge", "sub": "alice", "exp": time.time() + 3_600, "scope": "store:7 a b c"}
    token = pyjwt.encode(claims, key.private, "RS256", headers={"kid": "a"}).encode()
    basic = b"Basic " + base64.b64encode(b"till:pw")
    return {
        "open": await cost_us(_nothing, {}, requests),
        "key": await cost_us(door, {b"x-api-key": b"sb_7"}, requests),
        "basic, remembered": await cost_us(door, {b"authorization": basic}, requests),
        "token, remembered": await cost_us(door, {b"authorization": b"Bearer " + token}, requests),
        "certificate": await cost_us(door, {}, requests),
        "token, new": _new_token_us(Keys(key), auth.jwt[0], token),
    }


def _new_token_us(keys: Keys, issuer: Issuer, token: bytes) -> float:
    """Verifying a signature, as is done once a token."""
    rules = TokenRules(issuer.name, issuer.issuer, issuer.audience, frozenset(issuer.algorithms))
    times = 500
    began_s = time.process_time()
    for _ in range(times):
        head = read_head(token)
        rules.judge(token, keys.find(head.kid, head.algorithm), time.time())
    return (time.process_time() - began_s) / times * 1e6


def _nobody_asked() -> None: ...


async def _nothing(_: Exchange) -> None: ...


def main() -> None:
    for name, us in asyncio.run(measure()).items():
        sys.stdout.write(f"{name:20} {us:7.2f} µs\n")


if __name__ == "__main__":
    main()
