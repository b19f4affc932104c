"""Tokens for Kafka's OAUTHBEARER: from a file that somebody keeps fresh, or from a token endpoint (RFC 6749, 4.4).

A token of the endpoint serves until most of its time is over; whoever needs one meanwhile shares it, and those who need
a new one at the same time ask once.
"""

import asyncio
import contextlib
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote_plus

import aiohttp

from proxy.clock import now_s
from proxy.config.kafka_security import OAuth
from proxy.seams.auth import TokenMissing, TokenSource
from proxy.tls import client_context
from proxy.upstream.document import NoDocument, body_of, document

ANSWER_S = 10.0
ANSWER_BYTES = 64 * 1024
USED_SHARE = 0.8  # of its time, before a new one is asked for
LIFETIME_S = 300.0  # of one whose answer does not say


def token_source(oauth: OAuth | None) -> TokenSource | None:
    """What `kafka.security.oauth` says. Raises OSError for its `ca`, which was tried when it was named."""
    if oauth is None:
        return None
    return TokenFile(Path(oauth.token_file)) if oauth.token_file else TokenEndpoint(oauth)


class TokenFile:
    """Read again each time: it is small, and connections are few."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __repr__(self) -> str:
        return f"<TokenFile {self._path}>"

    async def token(self) -> str:
        try:
            token = (await asyncio.to_thread(self._path.read_text, encoding="ascii")).strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise TokenMissing(
                f"{self._path} cannot be read: {getattr(exc, 'strerror', None) or 'not ASCII'}"
            ) from None
        return _sound(token, str(self._path))


class TokenEndpoint:
    """The client credentials grant, with the client's secret in HTTP Basic (RFC 6749, 2.3.1)."""

    def __init__(self, oauth: OAuth) -> None:
        assert oauth.token_url
        assert oauth.client_id
        assert oauth.client_secret
        self._url = oauth.token_url
        self._headers = {"Authorization": _basic(oauth.client_id, oauth.client_secret.get_secret_value())}
        self._form = {"grant_type": "client_credentials"} | ({"scope": oauth.scope} if oauth.scope else {})
        self._tls = client_context(ca=oauth.ca)
        self._asking = asyncio.Lock()
        self._token = ""
        self._until_s = 0.0

    def __repr__(self) -> str:
        return f"<TokenEndpoint {self._url}>"

    async def token(self) -> str:
        async with self._asking:
            if now_s() >= self._until_s:
                self._token, lifetime_s = await self._ask()
                self._until_s = now_s() + USED_SHARE * lifetime_s
            return self._token

    async def _ask(self) -> tuple[str, float]:
        """A new token, and how long it lasts."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(
                    self._url, data=self._form, headers=self._headers, ssl=self._tls, allow_redirects=False
                ) as answer,
            ):
                body = await body_of(answer, self._url, limit_bytes=ANSWER_BYTES)
                return self._read(body, answer.content_type)
        except NoDocument as exc:
            raise TokenMissing(str(exc)) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise TokenMissing(f"{self._url} gave no answer: {type(exc).__name__}") from None

    def _read(self, body: bytes, content_type: str) -> tuple[str, float]:
        with contextlib.suppress(NoDocument):
            said = document(body)
            token, lifetime_s = said.get("access_token"), said.get("expires_in", LIFETIME_S)
            if isinstance(token, str) and isinstance(lifetime_s, (int, float)):
                return _sound(token, self._url), float(lifetime_s)
        raise TokenMissing(f"{self._url} answered 200 without an access_token ({content_type})")


def _basic(client_id: str, secret: str) -> str:
    """Both are form-encoded before they are joined."""
    return "Basic " + b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def _sound(token: str, where: str) -> str:
    """The token goes into a message whose fields end with \\x01 (RFC 7628, 3.1): nothing but b64token may be in it."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenMissing(f"{where} holds no token")
    return token
