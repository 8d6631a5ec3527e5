"""One instant of a comparison: what runs is outlined, what comes later is veiled."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from planner_core.analysis.instant import running_at
from planner_core.charts.comparison import Entry
from planner_core.charts.rows import rows
from planner_core.charts.theme import Theme

VEIL = 0.76
"""Opacity of the veil."""

HALF_CELL = 0.47


_NAME = "instant"
"""Marks the shapes of an instant, so that the next one replaces them."""


def show_instant(
    figure: go.Figure, entries: Sequence[Entry], time: float | None, theme: Theme
) -> None:
    """Mark an instant in a comparison, in place of the one it showed before.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        What :func:`planner_core.charts.comparison` drew of ``entries``, memory included.
    entries : sequence of Entry
    time : float or None
        None for the whole picture.
    theme : Theme
    """
    shapes = [shape for shape in figure.layout.shapes if shape.name != _NAME]
    if time is not None:
        end = float(next(iter(figure.select_xaxes())).range[1])
        for i, entry in enumerate(entries):
            shapes += _over_bars(entry, 2 * i + 1, time, end, theme)
            shapes.append(_veil(2 * i + 2, (time, end), (0.0, 1.0), " domain", theme))
        shapes.append(_line(2 * len(entries), time, theme))
    figure.layout.shapes = shapes


def _over_bars(entry: Entry, panel: int, time: float, end: float, theme: Theme) -> list[dict]:
    """Veil every row from the end of what runs there, and outline what runs."""
    schedule = entry.schedule
    names, row_of = rows(entry.problem, schedule)
    running = running_at(schedule, time)
    shapes = []
    for row in range(len(names)):
        here = running[row_of[running] == row]
        start = float(schedule.finish[here].max(initial=time))
        height = (row - HALF_CELL, row + HALF_CELL)
        shapes.append(_veil(panel, (start, end), height, "", theme))
        for o in here.tolist():
            span = (float(schedule.start[o]), float(schedule.finish[o]))
            line = {"width": 2.5, "color": theme.outline}
            shapes.append(_rectangle(panel, span, height, "") | {"line": line})
    return shapes


def _veil(
    panel: int, span: tuple[float, float], height: tuple[float, float], y: str, theme: Theme
) -> dict:
    look = {"fillcolor": theme.paper, "opacity": VEIL, "line": {"width": 0}}
    return _rectangle(panel, span, height, y) | look


def _rectangle(panel: int, span: tuple[float, float], height: tuple[float, float], y: str) -> dict:
    return {
        "name": _NAME,
        "type": "rect",
        "xref": f"x{panel}",
        "yref": f"y{panel}{y}",
        "x0": span[0],
        "x1": span[1],
        "y0": height[0],
        "y1": height[1],
    }


def _line(panel: int, time: float, theme: Theme) -> dict:
    return {
        "name": _NAME,
        "type": "line",
        "xref": f"x{panel}",
        "yref": "paper",
        "x0": time,
        "x1": time,
        "y0": 0,
        "y1": 1,
        "line": {"width": 1.5, "color": theme.accent},
    }
