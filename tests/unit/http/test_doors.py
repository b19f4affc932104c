"""Who is let in where, before there is a socket: what a door costs, what a reload leaves open, what a flood can do."""

import asyncio
import base64
import time
from collections.abc import Mapping
from typing import Any

import jwt as pyjwt
import pytest

from proxy.auth.hashes import key_hash, password_hash
from proxy.config.model import Config
from proxy.errors import CredentialsRefused, IssuerAway, Overloaded, RightMissing, TokenExpired, Unauthenticated
from proxy.http.doors import Doors
from proxy.http.end import End
from proxy.http.entrance import WAITING, Entrance, certificate_name
from proxy.http.exchange import Exchange
from proxy.http.guarded import CutOff
from proxy.http.standing import Standing
from proxy.observe.audit import Denials
from proxy.principal import Principal
from tests.issuer import SigningKey
from tests.load.callers import Keys, Shown, exchange, measure

URL = "https://id.example"
KEY = SigningKey("a")


class Away(Keys):
    """An issuer whose keys were never fetched."""

    @property
    def is_there(self) -> bool:
        return False

    def find(self, kid: str | None, algorithm: str) -> Any:
        return None


def config(auth: Any = None, said: Any = "any", **route: Any) -> Config:
    one = {"route": "POST /stores/{store}/stock", "name": "stock", "produce": {"topic": "a"}, "auth": said, **route}
    return Config.model_validate({"kafka": {"bootstrap_servers": "a:1"}, "auth": auth or "none", "routes": [one]})


def auth(*names: str, **more: Any) -> dict[str, Any]:
    return {"keys": [{"name": name, "hash": key_hash(f"sb_{name}")} for name in names], **more}


def doors(keys: Keys | None = None) -> Doors:
    return Doors(Entrance(lambda _: keys or Keys(KEY)))


def token(**claims: Any) -> bytes:
    said = {"iss": URL, "aud": "stepbridge", "sub": "alice", "exp": time.time() + 60, **claims}
    return b"Bearer " + pyjwt.encode(said, KEY.private, "RS256", headers={"kid": "a"}).encode()


JWT = {"jwt": [{"issuer": URL, "audience": "stepbridge", "leeway_ms": 0}]}


async def called(door: Doors, at: Config, headers: Mapping[bytes, bytes]) -> Exchange:
    """The exchange as the endpoint behind the door got it. Raises what the door does."""
    reached: list[Exchange] = []

    async def endpoint(one: Exchange) -> None:
        reached.append(one)

    one = exchange(headers)
    one.connection.client_certificate = None  # type: ignore[misc]
    await door.guarded(at.routes[0], endpoint)(one)
    assert reached == [one]
    return one


async def test_without_auth_there_is_no_door() -> None:
    async def endpoint(_: Exchange) -> None: ...

    door, plain = doors(), config()
    door.follow(plain)
    assert door.guarded(plain.routes[0], endpoint) is endpoint
    assert door.body_right(plain.routes[0]) is None
    door.follow(config(auth("a")))
    assert door.guarded(config(said="none").routes[0], endpoint) is endpoint


async def test_a_route_that_says_nothing_beside_auth_lets_nobody_in() -> None:
    """The file's rules refuse it; should it come through all the same, it is shut."""
    door, at = doors(), config(auth("a"), said=None)
    door.follow(at)
    with pytest.raises(RightMissing):
        await called(door, at, {b"x-api-key": b"sb_a"})


async def test_who_is_let_in_is_known_behind_the_door() -> None:
    door, at = doors(), config(auth("a"))
    door.follow(at)
    one = await called(door, at, {b"x-api-key": b"sb_a"})
    assert one.principal is not None
    assert one.principal.id == "key:a"
    with pytest.raises(Unauthenticated) as refused:
        await called(door, at, {})
    assert [value for name, value in refused.value.headers if name == b"www-authenticate"]


async def test_a_reload_ends_what_is_open_for_those_it_takes_away_and_for_nobody_else() -> None:
    door, at = doors(), config(auth("a", "b"))
    door.follow(at)
    gone, stays = [await called(door, at, {b"x-api-key": key}) for key in (b"sb_a", b"sb_b")]
    door.follow(config(auth("b", "c")))
    assert gone.admission is not None
    assert stays.admission is not None
    assert gone.admission.standing.result() == "revoked"
    assert not stays.admission.standing.done()
    stays.still_admitted()
    with pytest.raises(CredentialsRefused):
        gone.still_admitted()


@pytest.mark.parametrize("key", ["scopes", "claims"])
async def test_other_rights_are_another_standing(key: str) -> None:
    door, at = doors(), config(auth("a"))
    door.follow(at)
    one = await called(door, at, {b"x-api-key": b"sb_a"})
    changed = auth("a")
    changed["keys"][0][key] = ["x"] if key == "scopes" else {"x": "y"}
    door.follow(config(changed))
    assert one.admission is not None
    assert one.admission.standing.done()


async def test_what_is_open_for_a_token_ends_with_it_and_with_its_issuers_key() -> None:
    keys = Keys(KEY)
    door, at = doors(keys), config(JWT)
    door.follow(at)
    short = await called(door, at, {b"authorization": token(exp=time.time() + 0.05)})
    long = await called(door, at, {b"authorization": token()})
    assert short.admission is not None
    assert long.admission is not None
    assert 50 < (long.admission.left_s() or 0) < 61
    async with asyncio.timeout(5):
        while short.admission.left_s():
            await asyncio.sleep(0.01)
    with pytest.raises(TokenExpired):
        short.still_admitted()
    keys.replace(SigningKey("b"))
    assert long.admission.standing.result() == "revoked"
    with pytest.raises(CredentialsRefused):
        await called(door, at, {b"authorization": token()})


async def test_a_token_whose_issuer_was_never_reached_is_not_its_callers_fault() -> None:
    door, at = doors(Away(KEY)), config(JWT)
    door.follow(at)
    with pytest.raises(IssuerAway):
        await called(door, at, {b"authorization": token()})


async def test_those_who_guess_passwords_wait_in_a_bounded_line() -> None:
    quick = password_hash("pw", b"0123456789abcdef").replace("scrypt:15:", "scrypt:10:")  # nothing fits it any more
    users = [{"name": "till", "hash": quick}]
    door, at = doors(), config({"basic": users})
    door.follow(at)
    guesses = [b"Basic " + base64.b64encode(b"till:%d" % number) for number in range(WAITING + 20)]
    asked = [called(door, at, {b"authorization": guess}) for guess in guesses]
    ended = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 60)
    assert sum(isinstance(error, Overloaded) for error in ended) == 20
    assert sum(isinstance(error, CredentialsRefused) for error in ended) == WAITING


async def test_denials_are_written_with_who_where_and_why_and_never_what_was_shown() -> None:
    lines: list[dict[str, Any]] = []
    door, at = doors(), config({**auth("a"), **JWT}, said={"scopes": ["x"]})
    door.denials = Denials(write=lambda event, **fields: lines.append(fields))
    door.follow(at)
    late = token(exp=time.time() - 1)
    for headers in ({}, {b"x-api-key": b"sb_a"}, {b"authorization": late}):
        with pytest.raises((Unauthenticated, RightMissing)):
            await called(door, at, headers)
    assert [(line["by"], line["code"]) for line in lines] == [
        ("-", "unauthenticated"),
        ("key:a", "right_missing"),
        ("-", "token_expired"),
    ]
    assert lines[2]["why"] == "it has expired"
    assert "sb_a" not in str(lines)
    assert late.decode() not in str(lines)
    counted = {(s.labels["scheme"], s.labels["outcome"]): s.value for s in door.samples() if "scheme" in s.labels}
    assert counted == {("none", "missing"): 1, ("key", "admitted"): 1, ("key", "forbidden"): 1, ("token", "expired"): 1}


@pytest.mark.parametrize(
    ("by", "name"),
    [
        ("common_name", "pos-1"),
        ("subject", "CN=pos-1,O=Retail"),
        ("dns", "pos-1.example"),
        ("uri", "spiffe://retail/pos-1"),
        ("email", None),
    ],
)
def test_a_certificate_names_its_caller_as_configured(by: str, name: str | None) -> None:
    names = ("IP:10.0.0.1", "DNS:pos-1.example", "DNS:other.example", "URI:spiffe://retail/pos-1")
    assert certificate_name("CN=pos-1,O=Retail", "pos-1", names, by) == name


async def test_the_cost_of_a_door_can_be_measured() -> None:
    found = await measure(requests=20)
    assert found.keys() >= {"open", "key", "token, remembered"}
    assert all(us >= 0 for us in found.values())


# ---- answers of the old service that last


class Cut(Shown):
    """A connection that can be cut."""

    def __init__(self) -> None:
        super().__init__()
        self.is_cut = False
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def gone(self) -> asyncio.Future[None]:
        return self._gone

    def abort(self) -> None:
        self.is_cut = True


async def passed_on(admission: Standing, lasts_s: float, grace_s: float) -> Cut:
    """The connection, after an answer from upstream that lasts so long."""
    one, connection = exchange({}), Cut()
    one.connection, one.admission = connection, admission  # type: ignore[assignment]

    async def answers(_: Exchange) -> None:
        one.status = 200
        await asyncio.sleep(lasts_s)

    await CutOff(answers, grace_s)(one)
    return connection


@pytest.mark.parametrize(("lasts_s", "is_cut"), [(0.0, False), (30.0, True)])
@pytest.mark.parametrize("how", ["expired", "revoked"])
async def test_only_an_answer_that_goes_on_and_on_is_broken_off(how: str, lasts_s: float, is_cut: bool) -> None:
    standing = End()
    until_s = time.time() if how == "expired" else None
    if how == "revoked":
        standing.set_result("revoked")
    admission = Standing(Principal("key", "a"), standing, "key:a", until_s)
    async with asyncio.timeout(10):
        assert (await passed_on(admission, lasts_s, grace_s=0.02)).is_cut is is_cut
