"""Who a request comes from: what it shows is judged, whichever scheme it is of.

The law: one credential a request, and that one decides. Who shows a wrong one is refused, whatever else it might be. A
client certificate counts where nothing else is shown. The client is told that it was refused; the log is told why.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from proxy.auth.credentials import Credential, Key, Password, Token, Unreadable, shown
from proxy.auth.hashes import Hash
from proxy.auth.keyring import KeyRing, Known, Users
from proxy.auth.passwords import Passwords, Verdict
from proxy.auth.tokens import Refused, TokenRules
from proxy.clock import now_s
from proxy.config import callers as config
from proxy.errors import CredentialsRefused, IssuerAway, Overloaded, TokenExpired, Unauthenticated
from proxy.http.bearers import Bearers, Issuer
from proxy.http.exchange import Exchange
from proxy.http.standing import Standing, Standings
from proxy.observe.metrics import Sample
from proxy.principal import Principal
from proxy.seams.auth import SigningKeys

TRIALS, WAITING = 2, 64  # passwords that are tried at one time, and that wait for it

KeysOf = Callable[[config.Issuer], SigningKeys]


class Entrance:
    """All schemes of the configuration in force. `keys_of` hands out the keys of an issuer."""

    def __init__(self, keys_of: KeysOf) -> None:
        self._keys_of = keys_of
        self._standings = Standings()
        self._auth: config.Auth | None = None
        self._outcomes: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._calls: defaultdict[str, int] = defaultdict(int)
        self._trying = asyncio.Semaphore(TRIALS)
        self._waiting = 0
        self.follow(config.Auth())

    def __repr__(self) -> str:
        return f"<Entrance {self._keys} {self._passwords} {self._bearers}>"

    def follow(self, auth: config.Auth) -> None:
        """Put this in force. What is open for callers who are not let in any more ends."""
        if auth == self._auth:
            return
        self._auth = auth
        self.key_header = auth.key_header.lower().encode()
        self._standing_of: dict[Known, Standing] = {}
        self._keys = KeyRing(self._known("key", auth.all_keys))
        self._passwords = Passwords(Users(self._known("basic", auth.all_basic)), auth.cache)
        issuers = [Issuer(_rules(issuer), self._keys_of(issuer)) for issuer in auth.jwt]
        self._bearers = Bearers(issuers, self._standings, auth.cache)
        self._certificates = auth.certificates
        mine = {_words(known) for known in self._standing_of} | {_certificate_words(auth.certificates)}
        self._standings.keep(lambda words: words in mine or self._bearers.keeps(words))

    async def admit(self, exchange: Exchange) -> Standing:
        """Whoever the request comes from. Raises Unauthenticated and its kin, IssuerAway, Overloaded."""
        try:
            credential = shown(exchange.headers, self.key_header)
            standing = await self._judge(credential, exchange)
        except Unreadable as exc:
            self._outcomes["none", "unreadable"] += 1
            raise CredentialsRefused(str(exc)) from None
        except Refused as exc:
            self._outcomes["token", exc.outcome] += 1
            raise _refusal(exc) from None
        except IssuerAway:
            self._outcomes["token", "issuer_unavailable"] += 1
            raise
        self._outcomes[_kind(standing.principal), "admitted"] += 1
        self._calls[standing.counted_as] += 1
        return standing

    def forbade(self, principal: Principal) -> None:
        """It was let in, and then lacked a right."""
        self._outcomes[_kind(principal), "forbidden"] += 1

    def samples(self) -> Iterator[Sample]:
        for (scheme, outcome), count in self._outcomes.items():
            yield Sample("stepbridge_auth_total", {"scheme": scheme, "outcome": outcome}, count)
        for caller, count in self._calls.items():
            yield Sample("stepbridge_caller_requests_total", {"caller": caller}, count)

    # ---- one scheme each

    async def _judge(self, credential: Credential | None, exchange: Exchange) -> Standing:
        match credential:
            case Key(secret):
                return self._found("key", self._keys.find(secret), self._standing_of)
            case Token():
                return await self._bearers.admit(credential)
            case Password():
                standing_of = self._standing_of  # a reload may come meanwhile
                return self._found("basic", (await self._verdict(credential)).known, standing_of)
        return self._by_certificate(exchange)

    def _found(self, scheme: str, known: Known | None, standing_of: Mapping[Known, Standing]) -> Standing:
        if known is None:
            self._outcomes[scheme, "wrong"] += 1
            raise CredentialsRefused(_NOT_ACCEPTED)
        return standing_of[known]

    async def _verdict(self, shown: Password) -> Verdict:
        """Raises Overloaded: trying passwords takes CPU, and whoever guesses shall not have all of it."""
        passwords = self._passwords
        verdict = passwords.recall(shown, now_s())
        if verdict is not None:
            return verdict
        if self._waiting >= WAITING:
            raise Overloaded("Too many passwords are being checked. Try again.", limit="passwords")
        self._waiting += 1
        try:
            async with self._trying:
                verdict = passwords.recall(shown, now_s())  # another request with the same was first
                if verdict is None:
                    verdict = passwords.remember(shown, await asyncio.to_thread(passwords.try_, shown), now_s())
                return verdict
        finally:
            self._waiting -= 1

    def _by_certificate(self, exchange: Exchange) -> Standing:
        said = self._certificates
        certificate = exchange.connection.client_certificate if said is not None else None
        if said is None or certificate is None:
            self._outcomes["none", "missing"] += 1
            raise Unauthenticated("The route asks who its caller is, and the request does not say.")
        name = certificate_name(certificate.subject, certificate.common_name, certificate.names, said.principal)
        if name is None:
            self._outcomes["certificate", "wrong"] += 1
            raise CredentialsRefused(_NOT_ACCEPTED)
        principal = Principal("certificate", name, frozenset(said.scopes), {"subject": certificate.subject})
        return Standing(principal, self._standings.of(_certificate_words(said)), "certificate:*")

    # ---- what is in force

    def _known(self, scheme: str, callers: Iterable[config.Caller]) -> list[Known]:
        """A Known for each hash, and its standing."""
        found = []
        for caller in callers:
            principal = Principal(scheme, caller.name, frozenset(caller.scopes), caller.claims)
            found += [Known(principal, Hash.read(each.get_secret_value())) for each in caller.hash]
        for known in found:
            end = self._standings.of(_words(known))
            self._standing_of[known] = Standing(known.principal, end, known.principal.id)
        return found


def certificate_name(subject: str, common_name: str | None, names: Sequence[str], by: str) -> str | None:
    """What of a certificate names its caller. `names` are alternative names with their kind: DNS:pos-1.example."""
    if by in ("subject", "common_name"):
        return (subject if by == "subject" else common_name) or None
    kind = {"dns": "DNS:", "uri": "URI:", "email": "email:"}[by]
    return next((name.removeprefix(kind) for name in names if name.startswith(kind)), None)


def _rules(issuer: config.Issuer) -> TokenRules:
    return TokenRules(
        issuer.name,
        issuer.issuer,
        issuer.audience,
        frozenset(issuer.algorithms),
        issuer.principal,
        issuer.scopes,
        issuer.leeway_ms / 1000,
    )


def _words(known: Known) -> str:
    """What a caller's standing depends on: with other rights it is another."""
    principal = known.principal
    rights = sorted(principal.scopes), sorted(principal.claims.items())
    return f"{principal.id} {known.hash.digest.hex()} {rights}"


def _certificate_words(said: config.Certificates | None) -> str:
    return f"certificate {said!r}"


def _kind(principal: Principal) -> str:
    """The scheme, as the metrics have it."""
    return principal.scheme if principal.scheme in ("key", "basic", "certificate") else "token"


def _refusal(refused: Refused) -> Unauthenticated:
    is_expired = refused.outcome == "expired"
    error: Unauthenticated = TokenExpired(_EXPIRED) if is_expired else CredentialsRefused(_NOT_ACCEPTED)
    error.why = str(refused)
    return error


_EXPIRED = "The token has expired. Come back with a new one."
_NOT_ACCEPTED = "The credentials are not accepted."
