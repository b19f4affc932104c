"""Tables lose nothing, wherever they are printed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.tables import print_table

LETTERS = "abcde"


def shown(capsys: pytest.CaptureFixture[str], *row: str) -> str:
    print_table([letter.upper() for letter in LETTERS[: len(row)]], [row])
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


@pytest.mark.parametrize("widths", [(5, 5, 5), (36, 30, 40), (37, 30, 40), (120, 3, 3), (3, 120, 3), (100, 100, 100)])
@pytest.mark.usefixtures("terminal")
def test_what_is_too_wide_for_a_terminal_is_folded_not_cut(
    capsys: pytest.CaptureFixture[str], widths: tuple[int, ...]
) -> None:
    out = shown(capsys, *(letter * width for letter, width in zip(LETTERS, widths, strict=False)))
    assert [out.count(letter) for letter in LETTERS[: len(widths)]] == list(widths)
    assert max(map(len, out.splitlines())) <= 80


@given(st.lists(st.integers(1, 2_000), min_size=1, max_size=5))
def test_a_pipe_gets_one_line_a_row_however_long(widths: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TTY_COMPATIBLE", "0")
        lines: list[str] = []
        patch.setattr("typer.echo", lambda text, **_: lines.extend(text.splitlines()))
        print_table(LETTERS[: len(widths)], [[letter * width for letter, width in zip(LETTERS, widths, strict=False)]])
    assert len(lines) == 2
    assert list(map(len, re.split(r" {2,}", lines[1]))) == widths


def test_an_empty_cell_is_a_dash_so_that_columns_can_be_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "a", "", "c").splitlines()[1].split() == ["a", "–", "c"]


def test_brackets_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert "[red]x[/red]" in shown(capsys, "[red]x[/red]")
