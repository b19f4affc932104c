"""Callers with signed tokens: each token is verified once, and remembered until it ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.auth.credentials import Token
from proxy.auth.memory import Memory
from proxy.auth.tokens import Head, Judged, Refused, TokenRules, read_head
from proxy.clock import wall_ms
from proxy.errors import IssuerAway
from proxy.http.standing import Standing, Standings
from proxy.seams.auth import SigningKeys


@dataclass(frozen=True, slots=True)
class Issuer:
    """What tokens of an issuer must be, and what they are signed with."""

    rules: TokenRules
    keys: SigningKeys

    @property
    def words(self) -> str:
        """What its callers' standing depends on."""
        return f"{self.rules!r} "


class Bearers:
    """All issuers. What they take is theirs alone: an issuer's key signs for that issuer."""

    def __init__(self, issuers: Sequence[Issuer], standings: Standings, limit: int) -> None:
        self._issuers = {issuer.rules.issuer: issuer for issuer in issuers}
        self._standings = standings
        self._memory: Memory[tuple[Standing, Issuer, str | None]] = Memory(limit)
        for issuer in issuers:
            issuer.keys.on_change = self._forgetter(issuer)

    def __repr__(self) -> str:
        return f"<Bearers of {', '.join(self._issuers)}>"

    async def admit(self, token: Token) -> Standing:
        """Raises Refused, IssuerAway."""
        now = wall_ms() / 1000
        digest = self._memory.digest(token.text)
        found = self._memory.get(digest, now)
        if found is not None:
            return found[0]
        head = read_head(token.text)
        issuer = self._issuers.get(head.issuer)
        if issuer is None or head.algorithm not in issuer.rules.algorithms:
            raise Refused("wrong", "its issuer or its algorithm is not taken")
        judged = await _judge(issuer, head, token.text, now)
        standing = self._standing(judged, issuer, head)
        self._memory.put(digest, (standing, issuer, head.kid), judged.until_s)
        return standing

    def keeps(self, words: str) -> bool:
        """Whether this standing is one that a token could have today."""
        return any(
            words.startswith(issuer.words) and issuer.keys.has(words.removeprefix(issuer.words) or None)
            for issuer in self._issuers.values()
        )

    def _standing(self, judged: Judged, issuer: Issuer, head: Head) -> Standing:
        end = self._standings.of(issuer.words + (head.kid or ""))
        return Standing(judged.principal, end, f"{issuer.rules.scheme}:*", judged.until_s)

    def _forgetter(self, issuer: Issuer) -> Callable[[], None]:
        def forget() -> None:
            """What was signed with a key that is no longer there."""
            self._memory.forget(lambda kept: kept[1] is issuer and not (kept[2] and issuer.keys.has(kept[2])))
            mine = issuer.words
            self._standings.keep(lambda words: not words.startswith(mine) or self.keeps(words))

        return forget


async def _judge(issuer: Issuer, head: Head, token: bytes, now: float) -> Judged:
    """Raises Refused, IssuerAway."""
    keys = issuer.keys
    key = keys.find(head.kid, head.algorithm)
    if key is None:
        await keys.renew()
        key = keys.find(head.kid, head.algorithm)
    if not keys.is_there:
        raise IssuerAway("The token's issuer cannot be reached, and its keys are not known. Try again.")
    if key is None:
        raise Refused("wrong", "it is signed with a key that its issuer does not have")
    return issuer.rules.judge(token, key, now)
