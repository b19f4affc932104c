"""The table of a long round."""

import io
import os

from tests.replicas.load import World
from tests.replicas.soak import Process, head, lag_of, line
from tests.replicas.verdict import Judge


def test_the_lag_is_what_is_not_committed_and_all_of_it_where_nothing_is() -> None:
    assert lag_of([("t:0", 5, 7), ("t:1", -1, 3), ("t:2", 4, 4)]) == 5


def test_a_process_tells_what_it_holds_and_nothing_once_it_is_gone() -> None:
    ours = Process.of(os.getpid())
    assert ours is not None
    assert ours.rss_mb > 1
    with open(os.devnull):
        more = Process.of(os.getpid())
        assert more is not None
        assert more.fds == ours.fds + 1
    assert Process.of(2**22 + 1) is None  # above what Linux gives


def test_a_line_has_a_cell_for_each_head_and_does_not_call_lost_what_is_still_open() -> None:
    world = World([], Judge(), io.StringIO())
    world.judge.wrote([1], world.now_s)
    cells = [cell.strip() for cell in line(world, 7, [[os.getpid()], []]).split("|")]
    heads = [cell.strip() for cell in head(2).splitlines()[0].split("|")]
    assert len(cells) == len(heads)
    row = dict(zip(heads, cells, strict=True))
    assert (row["written"], row["lies"], row["lag"], row["replica 1: RSS/fds"]) == ("1", "0", "7", "")
    world.judge.strange("500")
    assert dict(zip(heads, (c.strip() for c in line(world, 7, [[], []]).split("|")), strict=True))["lies"] == "1"
