"""What the command line shows: the progress line and tables."""

import io

from planner_core.console import ProgressLine, number, share, table
from planner_core.search.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Closed(io.StringIO):
    def isatty(self):
        return True

    def write(self, text):
        raise BrokenPipeError


def test_on_a_terminal_one_line_is_redrawn_and_cleared():
    stream = Terminal()
    line = ProgressLine(10.0, stream)
    line.redraw()
    line(Progress(phase="MIP, horizon 63", elapsed=1.0, incumbent=66.0, lower_bound=63.0))
    line.redraw()
    line.close()
    text = stream.getvalue()
    assert "\n" not in text
    assert text.startswith("\r\x1b[K░")
    assert "MIP, horizon 63  best 66  bound 63  gap 4.55 %" in text
    assert text.endswith("\r\x1b[K")


def test_elsewhere_every_piece_of_news_is_told_once():
    stream = io.StringIO()
    line = ProgressLine(10.0, stream)
    for elapsed in (1.0, 2.0):
        line(Progress(phase="bounds", elapsed=elapsed, lower_bound=3.0))
    line.redraw()
    line.close()
    assert stream.getvalue() == "   1.0 s  bounds  bound 3\n"


def test_a_closed_terminal_is_no_fault():
    line = ProgressLine(10.0, Closed())
    line.redraw()
    line(Progress(phase="bounds", elapsed=1.0))


def test_an_infinite_bound_is_not_shown():
    stream = io.StringIO()
    ProgressLine(1.0, stream)(Progress(phase="x", elapsed=0.0, incumbent=float("inf")))
    assert stream.getvalue() == "   0.0 s  x\n"


def test_table_columns_are_aligned():
    lines = table(("name", "value", "note"), [("a", "1", "x"), ("longer", "22", "")]).split("\n")
    assert lines == [
        "name    value  note",
        "──────  ─────  ────",
        "a           1  x",
        "longer     22",
    ]


def test_figures():
    assert [number(v) for v in (None, float("inf"), 63.0, 1 / 3)] == [
        "–",
        "unlimited",
        "63",
        "0.3333333333",
    ]
    assert [share(v) for v in (None, 0.25)] == ["–", "25.00 %"]
