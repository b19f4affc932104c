"""The keys of issuers of tokens: fetched beside what goes on, kept, and fetched again.

The law: no request waits for an issuer whose keys are here. They are fetched at once, then every `refresh_s`, and when
a token names a key that is not among them: issuers take a new key into use so. That can be had by anyone who makes up
a name, so it happens at most once in COOLDOWN_S. While the issuer cannot be reached its last keys stay in force, up to
`stale_s`; then there are none, and its tokens are not taken.

Where the keys are is asked of the issuer (OpenID Connect Discovery 1.0, 4) unless it is configured. Redirects are not
followed: they could lead anywhere.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import uniform
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from proxy.auth.keyset import KeySet, NoKeys
from proxy.clock import now_s
from proxy.observe.logs import logger
from proxy.observe.metrics import Sample
from proxy.tasks import Tasks
from proxy.upstream.document import NoDocument, body_of, document

FETCH_WITHIN_S = 5.0
COOLDOWN_S = 10.0
RETRY_S, MAX_RETRY_S = 1.0, 60.0
MAX_BYTES = 524_288  # of a document
DISCOVERY = "/.well-known/openid-configuration"

log = logger("auth")


@dataclass(frozen=True, slots=True)
class Source:
    """An issuer, and how its keys are kept."""

    name: str
    issuer: str
    jwks_url: str | None = None
    refresh_s: float = 600.0
    stale_s: float = 86_400.0


class Jwks:
    """One issuer's keys (`SigningKeys`)."""

    def __init__(self, source: Source, session: aiohttp.ClientSession, *, cooldown_s: float = COOLDOWN_S) -> None:
        self.source = source
        self.on_change: Callable[[], None] = lambda: None
        self.fetched = 0
        self.failed = 0
        self.trouble = "Its keys have not been fetched yet."  # why the last fetch failed; "" if it did not
        self._session = session
        self._cooldown_s = cooldown_s
        self._keys: KeySet | None = None
        self._as_sent = b""
        self._fresh_s = 0.0  # when they were fetched
        self._began_s = -cooldown_s  # the fetch before
        self._fetching: asyncio.Task[bool] | None = None
        self._running: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Jwks of {self.source.name} {self._keys}>"

    def begin(self) -> None:
        """Fetch, now and from now on, until `end`."""
        self._running = asyncio.create_task(self._run(), name=f"jwks {self.source.name}")

    async def end(self) -> None:
        tasks = [task for task in (self._running, self._fetching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def is_there(self) -> bool:
        return self._keys is not None

    @property
    def age_s(self) -> float | None:
        """Since they were fetched; None if there are none."""
        return now_s() - self._fresh_s if self._keys is not None else None

    def find(self, kid: str | None, algorithm: str) -> Any | None:
        return self._keys.find(kid, algorithm) if self._keys is not None else None

    def has(self, kid: str | None) -> bool:
        return self._keys is not None and self._keys.has(kid)

    async def renew(self) -> None:
        """Cancelled, the fetch goes on."""
        if self._fetching is None and now_s() - self._began_s < self._cooldown_s:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FETCH_WITHIN_S):
                await asyncio.shield(self._fetch())

    # ---- fetching

    async def _run(self) -> None:
        """Fetch now and again, for ever: at a growing pace while it fails."""
        retry_s = RETRY_S
        while True:
            if await self._fetch():
                retry_s = RETRY_S
                await asyncio.sleep(self.source.refresh_s * uniform(0.9, 1.0))
            else:
                await asyncio.sleep(min(retry_s, self.source.refresh_s) * uniform(0.5, 1.0))
                retry_s = min(2 * retry_s, MAX_RETRY_S)

    def _fetch(self) -> "asyncio.Task[bool]":
        """The fetch that is under way, or a new one: whether it brought keys."""
        if self._fetching is None:
            self._began_s = now_s()
            self._fetching = asyncio.create_task(self._fetched(), name=f"jwks fetch {self.source.name}")
            self._fetching.add_done_callback(self._done)
        return self._fetching

    def _done(self, _: object) -> None:
        self._fetching = None

    async def _fetched(self) -> bool:
        try:
            async with asyncio.timeout(FETCH_WITHIN_S):
                sent = await self._ask(self.source.jwks_url or await self._discovered())
            keys = KeySet.read(document(sent))
        except (NoDocument, NoKeys, aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            self._note_failure(exc)
            return False
        self.fetched += 1
        self.trouble = ""
        self._fresh_s = now_s()
        if sent != self._as_sent or self._keys is None:
            self._keys, self._as_sent = keys, sent
            log.info("issuer_keys_fetched", issuer=self.source.name, keys=len(keys.ids))
            self.on_change()
        return True

    def _note_failure(self, exc: Exception) -> None:
        self.failed += 1
        why = self.trouble = str(exc) or type(exc).__name__
        name, url = self.source.name, self.source.issuer
        log.warning("issuer_unreachable", issuer=name, url=url, why=why, has_keys=self.is_there)
        age_s = self.age_s
        if age_s is not None and age_s > self.source.stale_s:
            self._keys = None
            log.error("issuer_keys_too_old", issuer=self.source.name, consequence="its tokens are not taken any more")
            self.on_change()

    async def _discovered(self) -> str:
        """Where the issuer says its keys are. Raises NoDocument."""
        said = document(await self._ask(self.source.issuer.rstrip("/") + DISCOVERY))
        if said.get("issuer") != self.source.issuer:
            whose = repr(said.get("issuer"))
            raise NoDocument(f"its discovery document is that of {whose}: write `issuer` exactly as it says")
        url = said.get("jwks_uri")
        if not isinstance(url, str) or not (url.startswith("https://") or _same_host(url, self.source.issuer)):
            raise NoDocument("its discovery document names no https jwks_uri")
        return url

    async def _ask(self, url: str) -> bytes:
        """The body of a 200. Raises NoDocument, and what aiohttp does."""
        async with self._session.get(url, allow_redirects=False) as answer:
            return await body_of(answer, url, limit_bytes=MAX_BYTES)


class Issuers:
    """The keys of all configured issuers. `async with` closes what is open."""

    def __init__(self) -> None:
        self._all: dict[Source, Jwks] = {}
        self._session: aiohttp.ClientSession | None = None
        self._leaving = Tasks()

    def __repr__(self) -> str:
        return f"<Issuers {list(self._all.values())}>"

    async def __aenter__(self) -> "Issuers":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.keep([])
        await self._leaving.finish()
        if self._session is not None:
            await self._session.close()

    def of(self, source: Source) -> Jwks:
        """The keys of an issuer: fetched from now on if it is new."""
        found = self._all.get(source)
        if found is None:
            self._session = self._session or aiohttp.ClientSession(trust_env=True)
            found = self._all[source] = Jwks(source, self._session)
            found.begin()
        return found

    def keep(self, sources: Sequence[Source]) -> None:
        """Forget all others."""
        for source in self._all.keys() - set(sources):
            self._leaving.begin(self._all.pop(source).end(), name=f"forget {source.name}")

    def states(self) -> Iterator[tuple[str, bool, str]]:
        """Of each its name, whether its tokens are taken, and what went wrong last, for operators."""
        for source, keys in self._all.items():
            yield source.name, keys.is_there, keys.trouble

    def samples(self) -> Iterator[Sample]:
        for source, keys in self._all.items():
            yield Sample("stepbridge_issuer_fetches_total", {"issuer": source.name, "outcome": "fetched"}, keys.fetched)
            yield Sample("stepbridge_issuer_fetches_total", {"issuer": source.name, "outcome": "failed"}, keys.failed)
            if keys.age_s is not None:
                yield Sample("stepbridge_issuer_keys_age_seconds", {"issuer": source.name}, keys.age_s)


def _same_host(url: str, other: str) -> bool:
    """Plain http is for an issuer that is configured so (on this machine), and for nobody it names."""
    return url.startswith("http://") and urlsplit(url).hostname == urlsplit(other).hostname
