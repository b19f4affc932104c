"""Judging signed tokens (RFC 7519, with RFC 8725's advice).

The law: which algorithm may be is said by the configuration and never by the token; a token is its issuer's only if the
issuer's own key has signed it; it is for us only if `aud` names us; it ends, so `exp` must be there. The claims of one
whose signature was not checked are looked at for one thing: whose keys to check it with.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jwt
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from proxy.principal import Principal

MAX_NAME = 200  # characters of a caller's name
MAX_SCOPES = 200
_OPTIONS: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["exp", "iss", "aud"]}


class Refused(ValueError):
    """`outcome` is a word for the metrics, the message for the operator's eyes."""

    def __init__(self, outcome: str, why: str) -> None:
        super().__init__(why)
        self.outcome = outcome


class Head(NamedTuple):
    """What a token says of itself, unchecked."""

    issuer: str
    algorithm: str
    kid: str | None


class Judged(NamedTuple):
    """A token that holds, and until when: seconds since the epoch, the leeway included."""

    principal: Principal
    until_s: float


def read_head(token: bytes) -> Head:
    """Raises Refused."""
    try:
        whole = jwt.decode_complete(token, options={"verify_signature": False})
    except (PyJWTError, ValueError, RecursionError):
        raise Refused("wrong", "it is no token") from None
    header, claims = whole["header"], whole["payload"]
    issuer, algorithm, kid = claims.get("iss"), header.get("alg"), header.get("kid")
    if not isinstance(issuer, str) or not isinstance(algorithm, str) or not (kid is None or isinstance(kid, str)):
        raise Refused("wrong", "it lacks iss or alg")
    if "crit" in header:
        raise Refused("wrong", "it needs an extension (crit)")
    return Head(issuer, algorithm, kid)


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What tokens of one issuer must be."""

    scheme: str
    issuer: str
    audience: Sequence[str]
    algorithms: frozenset[str]
    principal_claim: str = "sub"
    scopes_claim: str = "scope"
    leeway_s: float = 30.0

    def judge(self, token: bytes, key: PyJWK, now_s: float) -> Judged:
        """`now_s`: seconds since the epoch. `key` is of an algorithm that is taken. Raises Refused."""
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=list(self.algorithms),
                audience=list(self.audience),
                issuer=self.issuer,
                options=_OPTIONS,
            )
        except jwt.InvalidAudienceError:
            raise Refused("other_audience", "it is for another audience") from None
        except (PyJWTError, ValueError, TypeError):
            raise Refused("wrong", "its signature or its claims are not right") from None
        until_s = self._until_s(claims, now_s)
        return Judged(self._principal(claims), until_s)

    def _until_s(self, claims: Mapping[str, Any], now_s: float) -> float:
        until_s = _seconds(claims, "exp") + self.leeway_s
        if now_s >= until_s:
            raise Refused("expired", "it has expired")
        for name in ("nbf", "iat"):
            if name in claims and _seconds(claims, name) - self.leeway_s > now_s:
                raise Refused("not_yet", f"its {name} is in the future")
        return until_s

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        name = claims.get(self.principal_claim)
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            raise Refused("wrong", f"its {self.principal_claim} names nobody")
        return Principal(self.scheme, name, _scopes(claims.get(self.scopes_claim)), claims)


def _scopes(said: Any) -> frozenset[str]:
    """Text with spaces between (RFC 8693, 4.2), or a list."""
    words = said.split(" ") if isinstance(said, str) else said if isinstance(said, list) else ()
    return frozenset([word for word in words if isinstance(word, str) and word][:MAX_SCOPES])


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Refused("wrong", f"its {name} is no time")
    return float(value)
