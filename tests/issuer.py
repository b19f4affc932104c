"""An issuer of tokens on loopback, with keys that can be rotated and an address that can go down.

async with RealIssuer() as issuer:
    token = issuer.token("alice", scope="store:7")
"""

import time
from typing import Any

import jwt
import orjson
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "stepbridge"


class SigningKey:
    """A key pair with an id."""

    def __init__(self, kid: str, bits: int = 2048) -> None:
        self.kid = kid
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=bits)

    def public(self, **members: Any) -> dict[str, Any]:
        """As a set of keys has it."""
        document = orjson.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
        document.pop("key_ops", None)
        return {**document, "kid": self.kid, "use": "sig", "alg": "RS256", **members}


class RealIssuer:
    """`keys` are those it publishes; the last one signs."""

    def __init__(self) -> None:
        self.keys = [SigningKey("key-1")]
        self.port = 0
        self.asked: list[str] = []  # paths, in order
        self.is_well = True
        self.claimed_issuer: str | None = None  # what its discovery document says instead of its address
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "RealIssuer":
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    async def up(self) -> None:
        """At the same port as before, if there was one."""
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/moved", self._moved)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def down(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def rotate(self, kid: str) -> None:
        """Only a new key from now on."""
        self.keys = [SigningKey(kid)]

    def token(self, subject: str, *, key: SigningKey | None = None, lasts_s: float = 600, **claims: Any) -> str:
        """Signed with the newest key, or with this one. Claims of None are left out."""
        signer, now = key or self.keys[-1], time.time()
        said = {"iss": self.url, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + lasts_s, **claims}
        kept = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(kept, signer.private, algorithm="RS256", headers={"kid": signer.kid})

    async def _discovery(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        return web.json_response({"issuer": self.claimed_issuer or self.url, "jwks_uri": f"{self.url}/keys"})

    async def _keys(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if not self.is_well:
            return web.Response(status=500)
        return web.json_response({"keys": [key.public() for key in self.keys]})

    async def _moved(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        raise web.HTTPFound(f"{self.url}/keys")
