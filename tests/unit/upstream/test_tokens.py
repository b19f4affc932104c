"""Where Kafka's tokens come from, and what is said, and not said, when there is none."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from pydantic import SecretStr

from proxy.config.kafka_security import OAuth
from proxy.seams.auth import TokenMissing
from proxy.upstream.tokens import token_source

SECRET = "a client's own secret"


class Issuer:
    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.body = '{"access_token": "a.b.c", "expires_in": 3600}'
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        return web.Response(status=self.status, text=self.body, content_type="application/json")


@pytest_asyncio.fixture
async def issuer(free_port: int) -> AsyncIterator[Issuer]:
    one, app = Issuer(), web.Application()
    app.router.add_post("/token", one.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", free_port).start()
    one.url = f"http://127.0.0.1:{free_port}/token"
    yield one
    await runner.cleanup()


async def token_of(oauth: OAuth) -> str:
    source = token_source(oauth)
    assert source is not None
    return await source.token()


async def test_a_token_file_is_read_again_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    source = token_source(OAuth(token_file=str(file)))
    assert source is not None
    for text in ("one", "two"):
        file.write_text(f"{text}\n")
        assert await source.token() == text


@pytest.mark.parametrize("text", ["", "two words", "line\nline", "\x01auth=Bearer x"])
async def test_what_could_end_the_message_is_no_token(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(TokenMissing, match="holds no token"):
        await token_of(OAuth(token_file=str(tmp_path / "token")))


async def test_those_who_need_a_token_at_the_same_time_ask_once_and_share_it(issuer: Issuer) -> None:
    source = token_source(OAuth(token_url=issuer.url, client_id="me", client_secret=SecretStr(SECRET)))
    assert source is not None
    assert set(await asyncio.gather(*(source.token() for _ in range(20)))) == {"a.b.c"}
    assert issuer.asked == 1


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, f'{{"error": "{SECRET}"}}', "answered 401"),
        (200, "<html>", "without an access_token"),
        (200, '{"access_token": 1}', "without an access_token"),
        (200, '["a"]', "without an access_token"),
        (307, "", "answered 307"),
        (200, "x" * 100_000, "answered more than 65536 bytes"),
    ],
)
async def test_why_there_is_no_token_is_said_without_a_secret(
    issuer: Issuer, status: int, body: str, said: str
) -> None:
    issuer.status, issuer.body = status, body
    with pytest.raises(TokenMissing, match=said) as caught:
        await token_of(OAuth(token_url=issuer.url, client_id="me", client_secret=SecretStr(SECRET)))
    assert SECRET not in str(caught.value)
