"""The keys of a real issuer on loopback: rotated, while it is down, and when it says strange things."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from proxy.upstream.jwks import Issuers, Jwks, Source
from tests.issuer import RealIssuer
from tests.unit.wait import until


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[RealIssuer]:
    async with RealIssuer() as one:
        yield one


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as one:
        yield one


def source(issuer: RealIssuer, **rest: float | str) -> Source:
    return Source("jwt", issuer.url, **rest)  # type: ignore[arg-type]


async def test_keys_are_fetched_from_where_the_issuer_says(issuer: RealIssuer, session: aiohttp.ClientSession) -> None:
    keys = Jwks(source(issuer), session)
    assert not keys.is_there
    await keys.renew()
    assert keys.find("key-1", "RS256") is not None
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


async def test_where_the_keys_are_may_be_configured(issuer: RealIssuer, session: aiohttp.ClientSession) -> None:
    keys = Jwks(source(issuer, jwks_url=f"{issuer.url}/keys"), session)
    await keys.renew()
    assert keys.is_there
    assert issuer.asked == ["/keys"]


async def test_many_who_ask_at_once_ask_the_issuer_once(issuer: RealIssuer, session: aiohttp.ClientSession) -> None:
    keys = Jwks(source(issuer), session)
    await asyncio.gather(*(keys.renew() for _ in range(20)))
    assert issuer.asked.count("/keys") == 1


async def test_unknown_keys_are_asked_for_at_a_bounded_rate(issuer: RealIssuer, session: aiohttp.ClientSession) -> None:
    keys = Jwks(source(issuer), session, cooldown_s=60)
    for _ in range(10):
        await keys.renew()
    assert issuer.asked.count("/keys") == 1


async def test_a_new_key_is_found_and_an_old_one_is_gone(issuer: RealIssuer, session: aiohttp.ClientSession) -> None:
    changes: list[bool] = []
    keys = Jwks(source(issuer), session, cooldown_s=0)
    keys.on_change = lambda: changes.append(keys.has("key-1"))
    await keys.renew()
    await keys.renew()
    assert changes == [True], "the same keys again are no change"
    issuer.rotate("key-2")
    await keys.renew()
    assert changes == [True, False]
    assert keys.find("key-2", "RS256") is not None
    assert keys.find("key-1", "RS256") is None


@pytest.mark.parametrize("how", ["down", "ill"])
async def test_the_last_keys_stay_while_the_issuer_is_away(
    issuer: RealIssuer, session: aiohttp.ClientSession, how: str
) -> None:
    keys = Jwks(source(issuer), session, cooldown_s=0)
    await keys.renew()
    if how == "down":
        await issuer.down()
    issuer.is_well = False
    await keys.renew()
    assert keys.find("key-1", "RS256") is not None
    assert (keys.fetched, keys.failed) == (1, 1)


async def test_keys_that_are_too_old_are_taken_no_more(issuer: RealIssuer, session: aiohttp.ClientSession) -> None:
    changes: list[bool] = []
    keys = Jwks(source(issuer, stale_s=0.0), session, cooldown_s=0)
    await keys.renew()
    keys.on_change = lambda: changes.append(keys.is_there)
    await issuer.down()
    await keys.renew()
    assert changes == [False]
    await issuer.up()
    await keys.renew()
    assert changes == [False, True]


@pytest.mark.parametrize("strange", ["other issuer", "redirect", "no keys"])
async def test_an_issuer_that_says_strange_things_is_not_believed(
    issuer: RealIssuer, session: aiohttp.ClientSession, strange: str
) -> None:
    if strange == "other issuer":
        issuer.claimed_issuer = "https://other.example"
    if strange == "no keys":
        issuer.keys = []
    moved = {"jwks_url": f"{issuer.url}/moved"} if strange == "redirect" else {}
    keys = Jwks(source(issuer, **moved), session)
    await keys.renew()
    assert not keys.is_there
    assert keys.failed == 1


async def test_keys_are_fetched_again_and_again_until_they_are_let_go(issuer: RealIssuer) -> None:
    async with Issuers() as issuers:
        mine = source(issuer, refresh_s=0.02)
        keys = issuers.of(mine)
        assert issuers.of(mine) is keys
        assert list(issuers.states()) == [("jwt", False, "Its keys have not been fetched yet.")]
        await until(lambda: keys.fetched > 2)
        assert list(issuers.states()) == [("jwt", True, "")]
        assert {sample.name for sample in issuers.samples()} == {
            "stepbridge_issuer_fetches_total",
            "stepbridge_issuer_keys_age_seconds",
        }
        issuers.keep([])
        assert issuers.of(mine) is not keys
