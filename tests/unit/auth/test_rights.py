"""What a caller may do is exact, and more is never less."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.auth.rights import Need, permits
from proxy.principal import Principal

words = st.text(alphabet="abcAB:*. 7", min_size=1, max_size=6)
claims = st.dictionaries(words, words | st.lists(words, max_size=3) | st.integers() | st.booleans(), max_size=3)
callers = st.builds(Principal, st.sampled_from(["key", "jwt"]), words, st.frozensets(words, max_size=4), claims)
needs = st.builds(
    Need,
    st.none() | st.frozensets(st.sampled_from(["key", "jwt", "basic"]), min_size=1),
    st.none() | st.frozensets(words.map(lambda name: f"key:{name}"), min_size=1, max_size=3),
    st.frozensets(words, max_size=3),
    st.dictionaries(words, words, max_size=2),
)


@given(callers)
def test_who_needs_nothing_may(caller: Principal) -> None:
    assert permits(caller, Need())


@given(callers)
def test_a_caller_has_what_is_its_own(caller: Principal) -> None:
    texts = {name: value for name, value in caller.claims.items() if isinstance(value, str)}
    assert permits(caller, Need({caller.scheme}, {caller.id}, caller.scopes, texts))


@given(callers, needs)
def test_a_caller_may_only_what_each_part_says_by_itself(caller: Principal, need: Need) -> None:
    parts = [
        Need(schemes=need.schemes),
        Need(principals=need.principals),
        *(Need(scopes={scope}) for scope in need.scopes),
        *(Need(claims={name: value}) for name, value in need.claims.items()),
    ]
    assert permits(caller, need) == all(permits(caller, part) for part in parts)


@given(callers, words)
def test_a_scope_is_had_letter_by_letter_or_not_at_all(caller: Principal, scope: str) -> None:
    assert permits(caller, Need(scopes={scope})) == (scope in caller.scopes)


@given(callers, needs, words)
def test_another_scope_takes_no_right_away_and_needing_more_gives_none(
    caller: Principal, need: Need, scope: str
) -> None:
    richer = Principal(caller.scheme, caller.name, caller.scopes | {scope}, caller.claims)
    assert permits(richer, need) >= permits(caller, need)
    stricter = Need(need.schemes, need.principals, {*need.scopes, scope}, need.claims)
    assert permits(caller, stricter) <= permits(caller, need)


@given(words, words, words)
def test_a_key_of_one_store_writes_no_other_ones_records(mine: str, other: str, name: str) -> None:
    """The right `store:{path.store}`, whatever a store is called."""
    caller = Principal("key", name, frozenset({f"store:{mine}"}))
    assert permits(caller, Need(scopes={f"store:{other}"})) == (mine == other)


@pytest.mark.parametrize(
    ("said", "value", "has_it"),
    [
        ("7", "7", True),
        (7, "7", True),
        (7.5, "7.5", True),
        (True, "true", True),
        (True, "True", False),
        (["6", "7"], "7", True),
        ([["7"]], "7", False),
        ({"7": "7"}, "7", False),
        (None, "null", False),
        ("77", "7", False),
        (" 7", "7", False),
    ],
)
def test_a_claim_is_the_value_or_has_it_in_its_list(said: Any, value: str, has_it: bool) -> None:
    caller = Principal("jwt", "alice", claims={"store": said})
    assert permits(caller, Need(claims={"store": value})) is has_it


def test_a_claim_may_have_dots_in_its_name_or_be_a_level_down() -> None:
    caller = Principal("jwt", "a", claims={"https://id.example/store": "7", "realm": {"roles": ["ops"]}})
    assert permits(caller, Need(claims={"https://id.example/store": "7", "realm.roles": "ops"}))
    assert not permits(caller, Need(claims={"realm.roles.0": "ops"}))


def test_names_of_two_schemes_are_not_each_others() -> None:
    assert not permits(Principal("jwt", "ops"), Need(principals={"key:ops"}))
