"""Signed tokens: what holds, and everything that does not."""

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from proxy.auth.keyset import KeySet, NoKeys
from proxy.auth.tokens import Judged, Refused, TokenRules, read_head
from tests.issuer import SigningKey

NOW_S = 1_800_000_000.0
URL = "https://id.example"
KEY, OTHER = SigningKey("a"), SigningKey("a")
RULES = TokenRules("jwt", URL, ("stepbridge", "other"), frozenset({"RS256"}), leeway_s=30)


def signed(key: SigningKey = KEY, *, algorithm: str = "RS256", header: Any = None, **claims: Any) -> bytes:
    said = {"iss": URL, "aud": "stepbridge", "sub": "alice", "exp": NOW_S + 60, **claims}
    kept = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(kept, key.private, algorithm, headers={"kid": key.kid, **(header or {})}).encode()


def judged(token: bytes, rules: TokenRules = RULES, now_s: float = NOW_S, keys: KeySet | None = None) -> Judged:
    head = read_head(token)
    found = (keys or KeySet.read({"keys": [KEY.public()]})).find(head.kid, head.algorithm)
    assert found is not None
    return rules.judge(token, found, now_s)


def test_a_good_token_names_its_caller_and_when_it_ends() -> None:
    found = judged(signed(scope="a b", store="7"))
    assert (found.principal.id, found.principal.scopes) == ("jwt:alice", frozenset({"a", "b"}))
    assert found.principal.claim("store") == "7"
    assert found.until_s == NOW_S + 90


@pytest.mark.parametrize(
    ("claims", "outcome"),
    [
        ({"exp": NOW_S - 31}, "expired"),
        ({"exp": NOW_S - 30}, "expired"),
        ({"exp": None}, "wrong"),
        ({"exp": "tomorrow"}, "wrong"),
        ({"exp": True}, "wrong"),
        ({"nbf": NOW_S + 31}, "not_yet"),
        ({"iat": NOW_S + 31}, "not_yet"),
        ({"aud": "billing"}, "other_audience"),
        ({"aud": ["billing", "sales"]}, "other_audience"),
        ({"aud": None}, "wrong"),
        ({"iss": f"{URL}/"}, "wrong"),
        ({"sub": None}, "wrong"),
        ({"sub": ""}, "wrong"),
        ({"sub": "a\nb"}, "wrong"),
        ({"sub": "a" * 201}, "wrong"),
    ],
)
def test_claims_that_do_not_hold_are_told_apart(claims: dict[str, Any], outcome: str) -> None:
    with pytest.raises(Refused) as refused:
        judged(signed(**claims))
    assert refused.value.outcome == outcome


@pytest.mark.parametrize(
    "claims", [{"exp": NOW_S - 29}, {"nbf": NOW_S + 29}, {"iat": NOW_S + 30}, {"aud": ["x", "other"]}]
)
def test_clocks_may_differ_by_the_leeway(claims: dict[str, Any]) -> None:
    assert judged(signed(**claims)).principal.name == "alice"


def test_a_signature_of_another_key_is_refused() -> None:
    with pytest.raises(Refused):
        judged(signed(OTHER))


@given(st.data())
def test_a_token_changed_anywhere_is_refused(data: st.DataObject) -> None:
    token = signed()
    place = data.draw(st.integers(0, len(token) - 2))  # of the last letter some bits mean nothing
    letter = data.draw(st.sampled_from(b"ABCabc019-_."))
    changed = token[:place] + bytes([letter]) + token[place + 1 :]
    if changed != token:
        with pytest.raises((Refused, AssertionError)):
            judged(changed)


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(token: bytes) -> None:
    with pytest.raises(Refused):
        read_head(token)


def test_a_head_that_cannot_be_followed_is_refused() -> None:
    for token in (signed(header={"crit": ["x"], "x": 1}), signed(iss=None)):
        with pytest.raises(Refused):
            read_head(token)


# ---- sets of keys


def test_other_kinds_of_keys_sign_too() -> None:
    curve, edwards = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    documents = [
        {**jwt.algorithms.ECAlgorithm.to_jwk(curve.public_key(), as_dict=True), "kid": "ec"},
        {**jwt.algorithms.OKPAlgorithm.to_jwk(edwards.public_key(), as_dict=True), "kid": "ed"},
    ]
    keys = KeySet.read({"keys": documents})
    for private, algorithm, kid in ((curve, "ES256", "ec"), (edwards, "EdDSA", "ed")):
        claims = {"iss": URL, "aud": "stepbridge", "sub": "alice", "exp": NOW_S + 60}
        token = jwt.encode(claims, private, algorithm, headers={"kid": kid}).encode()
        rules = TokenRules("jwt", URL, ("stepbridge",), frozenset({algorithm}))
        assert judged(token, rules, keys=keys).principal.id == "jwt:alice"
        assert keys.find(kid, "RS256") is None


def test_without_an_id_only_the_only_key_fits() -> None:
    assert KeySet.read({"keys": [KEY.public()]}).find(None, "RS256") is not None
    two = KeySet.read({"keys": [KEY.public(), SigningKey("b").public()]})
    assert two.find(None, "RS256") is None
    assert two.find("b", "RS256") is not None


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"keys": {}},
        {"keys": []},
        {"keys": ["a", None, 1]},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]},
        {"keys": [{"kty": "RSA", "kid": "a"}]},
        {"keys": [{"kty": "RSA", "kid": 5, "n": "x", "e": "AQAB"}]},
        {"keys": [KEY.public(use="enc")]},
        {"keys": [SigningKey("small", bits=1024).public()]},
    ],
)
def test_a_document_without_a_usable_key_is_refused(document: Any) -> None:
    with pytest.raises(NoKeys):
        KeySet.read(document)


def test_a_key_of_another_algorithm_does_not_fit() -> None:
    keys = KeySet.read({"keys": [KEY.public(alg="RS512")]})
    assert keys.find("a", "RS256") is None
    assert keys.find("a", "HS256") is None
    assert keys.find("a", "none") is None
