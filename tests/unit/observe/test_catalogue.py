"""The table of metrics, and the page made from it."""

from pathlib import Path

from proxy.observe.catalogue import BY_NAME, FAMILIES, Kind, markdown

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_the_page_for_people_is_the_one_made_from_the_table() -> None:
    assert PAGE.read_text() == markdown(), "run: python -m proxy.observe.catalogue > docs/metrics.md"


def test_names_are_unique_and_say_their_type_and_unit() -> None:
    assert len(BY_NAME) == len(FAMILIES)
    for family in FAMILIES:
        assert family.name.startswith("stepbridge_")
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)
        assert family.stem.endswith(family.unit)
        assert family.help.endswith(".")
