"""docs/config.md is made of the models, and lacks none of their keys."""

from pathlib import Path

from proxy.config.model import Config, Consume, Produce
from proxy.config.reference_page import page

PAGE = Path(__file__).parents[3] / "docs" / "config.md"


def test_the_page_is_what_the_models_say() -> None:
    """If this fails: python -m proxy.config.reference_page > docs/config.md."""
    assert PAGE.read_text() == page()


def test_every_key_of_every_section_has_a_row_under_its_section() -> None:
    tables = dict(part.split("\n", 1) for part in page().split("\n## ")[1:])
    for heading, model in (("The file", Config), ("`routes[].produce`", Produce), ("`routes[].consume`", Consume)):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}`" in tables[heading]


def test_a_row_says_what_a_key_may_be_and_what_it_is_without() -> None:
    row = next(line for line in page().splitlines() if line.startswith("| `lease_ms`"))
    assert row.startswith("| `lease_ms` | number, 1 to 86400000 | `30000` | ")
    assert "| **`bootstrap_servers`** | text |" in page()
    assert "| `ack` | `explicit`, `auto` |" in page()
