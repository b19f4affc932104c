"""The ladder, and which key stands on which rung."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.rollout import PLACES
from proxy.migrate.stages import STAGES, Setting, forbidden, leaves, place_of, steps

SETTINGS = st.builds(Setting, st.sampled_from(STAGES[1:]), st.integers(1, PLACES)) | st.just(Setting("legacy"))
KEYS = st.none() | st.binary(max_size=40)


def rung(setting: Setting, key: bytes | None) -> int:
    return STAGES.index(setting.stage_of(key))


@given(st.sampled_from(STAGES[1:]), st.lists(st.integers(1, PLACES), min_size=2), KEYS)
def test_a_key_never_alternates_while_the_share_only_rises(stage: str, shares: list[int], key: bytes | None) -> None:
    rungs = [rung(Setting.read(stage, f"{share / 100:.2f}%"), key) for share in sorted(shares)]
    assert rungs == sorted(rungs)


@given(SETTINGS, SETTINGS, KEYS)
def test_the_steps_say_of_each_key_whether_it_changes_and_how(old: Setting, new: Setting, key: bytes | None) -> None:
    concerned = [step for step in steps(old, new) if step.begins <= place_of(key) < step.ends]
    assert [(step.before, step.after) for step in concerned] == (
        [] if old.stage_of(key) == new.stage_of(key) else [(old.stage_of(key), new.stage_of(key))]
    )


@given(SETTINGS, SETTINGS, st.lists(KEYS, min_size=1, max_size=50))
def test_no_key_climbs_more_than_one_rung_by_a_change_that_is_allowed(
    old: Setting, new: Setting, keys: list[bytes | None]
) -> None:
    if forbidden(old, new) is None:
        assert all(rung(new, key) - rung(old, key) <= 1 for key in keys)


@given(SETTINGS)
def test_what_has_no_key_climbs_last(setting: Setting) -> None:
    assert setting.stage_of(None) == (setting.stage if setting.share == PLACES else setting.below)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (Setting("legacy"), Setting("shadow", 2500), None),
        (Setting("shadow", 2500), Setting("shadow"), None),
        (Setting("shadow", 2500), Setting("dual", 2500), None),  # the others go from legacy to shadow
        (Setting("shadow", 2500), Setting("dual", 5000), "25% of the keys would go from legacy to dual"),
        (Setting("legacy"), Setting("kafka"), "100% of the keys would go from legacy to kafka"),
        (Setting("kafka"), Setting("legacy"), None),
    ],
)
def test_which_changes_are_steps(old: Setting, new: Setting, why: str | None) -> None:
    said = forbidden(old, new)
    assert (said is None) if why is None else (said is not None and why in said)


def test_keys_are_spread_evenly() -> None:
    on_stage = sum(Setting("shadow", 2500).stage_of(b"key-%d" % number) == "shadow" for number in range(20_000))
    assert 0.24 < on_stage / 20_000 < 0.26


def test_a_key_has_its_place_for_ever() -> None:
    """A later version must put each key where this one does: a rolling upgrade has both."""
    assert [place_of(key) for key in (b"", b"a", b"store-17:A", None)] == [9876, 3343, 4463, 9999]


def test_it_is_a_descent_from_a_stage_if_any_key_leaves_it() -> None:
    assert leaves(Setting("kafka"), Setting("kafka", 5000), "kafka")
    assert not leaves(Setting("kafka", 5000), Setting("kafka"), "kafka")
    assert not leaves(Setting("dual"), Setting("shadow"), "kafka")


@pytest.mark.parametrize(
    ("stage", "rollout", "wrong"),
    [
        ("kafak", None, "no stage"),
        ("legacy", "20%", "no stage below"),
        ("dual", "0%", "more than 0%"),
        ("dual", "101%", "at most 100%"),
        ("dual", "0.001%", "finer"),
        ("dual", "half", "no share"),
    ],
)
def test_what_is_no_setting_says_so(stage: str, rollout: str | None, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        Setting.read(stage, rollout)


def test_a_setting_reads_as_it_is_written() -> None:
    assert str(Setting.read("dual", "2.5%")) == "dual 2.5%"
    assert Setting.read("dual", " 25 ") == Setting("dual", 2500)
    assert Setting.read("dual").as_json() == {"stage": "dual", "rollout": "100%"}
