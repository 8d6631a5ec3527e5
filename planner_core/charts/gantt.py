"""Gantt chart of one schedule: one cell an operator, its micro-batch number in it."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import plotly.graph_objects as go

from planner_core.charts.cells import hovers, labels, shades
from planner_core.charts.overview import add_overview
from planner_core.charts.rows import rows
from planner_core.charts.theme import KIND_TITLES, LIGHT, Theme, ink, scale, shade, styled
from planner_core.problem import KINDS, Problem
from planner_core.problem.graph import IntArray
from planner_core.schedule import Schedule

COLOURINGS: tuple[str, ...] = ("kind", "stage", "micro-batch")
"""What the colour of a cell can stand for."""

MOST_BARS = 5000
"""Above this many operators in view a heat map is drawn in place of bars."""

MOST_WRITTEN = 1500
"""Above this many operators in view cells do not write their own numbers: a browser needs seconds
to measure them, and hardly one would fit."""

MOST_NAMED = 8
"""Stages or micro-batches named in the legend; of more every k-th stands for those after it."""

ROW_HEIGHT = 26
"""Pixels per row."""

SMALLEST_LABEL, LARGEST_LABEL = 8, 12
"""Pixels; a number that would be smaller is left out until the reader zooms in."""

PLOT_WIDTH = 1080
"""Pixels of the time axis on a screen of 1280: what numbers must fit at first sight."""

DIGIT_WIDTH = 0.58
"""Width of a digit in font sizes."""


def gantt(
    problem: Problem,
    schedule: Schedule,
    theme: Theme = LIGHT,
    *,
    colour_by: str = "kind",
    highlight: Collection[int] = (),
    micro_batch: int | None = None,
    plot_width: float = PLOT_WIDTH,
) -> go.Figure:
    """Return the Gantt chart of a schedule.

    Parameters
    ----------
    problem : Problem
    schedule : Schedule
    theme : Theme
    colour_by : {"kind", "stage", "micro-batch"}
    highlight : collection of int
        Operators to outline, such as a critical path; the others fade.
    micro_batch : int, optional
        Fade all operators but this micro-batch's.
    plot_width : float
        Pixels of the time axis that the numbers must fit.

    Returns
    -------
    plotly.graph_objects.Figure
        Time runs to the right, one row per device (and per extra stream); above
        :data:`MOST_BARS` operators a heat map of how busy each row is.
    """
    figure = go.Figure()
    names = add_gantt(
        figure,
        problem,
        schedule,
        theme,
        colour_by=colour_by,
        highlight=highlight,
        micro_batch=micro_batch,
        plot_width=plot_width,
    )
    styled(figure, theme, height=72 + ROW_HEIGHT * len(names))
    figure.update_xaxes(
        title_text=f"time ({problem.time_unit})",
        range=[0, schedule.makespan * 1.005 or 1],
        showgrid=False,
        title_standoff=6,
    )
    figure.update_layout(barmode="overlay", uirevision="gantt", **label_rule())
    return figure


def row_height(n_rows: int) -> float:
    """Pixels of a row beside other schedules: many rows share the height of 16."""
    return ROW_HEIGHT if n_rows <= 16 else max(6, 16 * ROW_HEIGHT / n_rows)


def label_rule() -> dict:
    """Layout entries that make numbers shrink with their cells and hide when unreadable."""
    return {"uniformtext": {"minsize": SMALLEST_LABEL - 2, "mode": "hide"}}


def add_gantt(
    figure: go.Figure,
    problem: Problem,
    schedule: Schedule,
    theme: Theme,
    *,
    row: int | None = None,
    colour_by: str = "kind",
    highlight: Collection[int] = (),
    micro_batch: int | None = None,
    key: str = "plan",
    legend: Collection[str] = (),
    axis_end: float | None = None,
    window: tuple[float, float] | None = None,
    plot_width: float = PLOT_WIDTH,
) -> list[str]:
    """Add a Gantt chart to a figure (at a row of its subplots) and return the names of its rows.

    ``key`` and the operator number are the customdata of every cell, for clicks. Names in
    ``legend`` already stand in the figure's legend and get no second entry. ``axis_end`` is the
    end of the time axis, by default the makespan; with a ``window`` (from, until) only what runs
    in it is drawn, as bars if that is not too much.
    """
    names, row_of = rows(problem, schedule)
    place = {} if row is None else {"row": row, "col": 1}
    figure.add_trace(
        go.Bar(
            orientation="h",
            y=np.arange(len(names)),
            x=np.full(len(names), schedule.makespan),
            base=0,
            width=0.94,
            marker={"color": theme.idle, "line": {"width": 0}},
            hoverinfo="skip",
            showlegend=False,
        ),
        **place,
    )
    in_view = visible(schedule, window)
    if int(in_view.sum()) > MOST_BARS:
        add_overview(figure, problem, schedule, row_of, len(names), theme, place)
    else:
        pale = faded(problem, highlight, micro_batch)
        length = axis_end or schedule.makespan
        if window is not None:
            length = min(length, window[1] - window[0])
        size = label_size(problem, schedule, length, plot_width)
        in_cells = size is None and int(in_view.sum()) <= MOST_WRITTEN
        for name, colour, group in groups(problem, schedule, colour_by, theme):
            members = group[in_view[group]]
            if not len(members):
                continue
            figure.add_trace(
                _cells(problem, schedule, members, row_of, colour, pale, key),
                **place,
            )
            figure.data[-1].update(
                name=name,
                legendgroup=name,
                showlegend=name not in {*legend, ""},
                marker_line_color=theme.paper,
                textposition="inside" if in_cells else "none",
            )
            if size is not None:
                figure.add_trace(
                    _numbers(problem, schedule, members, row_of, ink(colour), size), **place
                )
                figure.data[-1].legendgroup = name
        if len(highlight):
            figure.add_trace(_outline(schedule, sorted(highlight), row_of, theme), **place)
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(names))),
        ticktext=names,
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
        fixedrange=True,
        **place,
    )
    return names


def visible(schedule: Schedule, window: tuple[float, float] | None) -> np.ndarray:
    """Which operators run in a window of time; all of them without one; shape (n,)."""
    if window is None:
        return np.ones(len(schedule.start), dtype=bool)
    return (schedule.start < window[1]) & (schedule.finish > window[0])


def groups(
    problem: Problem, schedule: Schedule, colour_by: str, theme: Theme
) -> list[tuple[str, str, np.ndarray]]:
    """Split the operators by colour: (legend entry or "", colour, operators)."""
    graph = problem.graph
    if colour_by == "kind":
        shade_of, n_shades = shades(problem, schedule)
        groups = []
        for code, kind in enumerate(KINDS):
            for s in range(n_shades):
                members = np.flatnonzero((graph.kind == code) & (shade_of == s))
                if len(members):
                    # One entry a kind; the shades show beside each other in the chart itself.
                    title = KIND_TITLES[kind] if s == 0 else ""
                    groups.append((title, shade(kind, s, n_shades), members))
        return groups
    column = graph.stage if colour_by == "stage" else graph.micro_batch
    values = np.unique(column)
    last = max(1, int(values.max()))
    every = -(-len(values) // MOST_NAMED)
    named = set(values[values >= 0][::every].tolist())
    return [
        (
            f"{colour_by} {value}" if value in named else "",
            scale(value / last, theme) if value >= 0 else shade("other", 0, 1),
            np.flatnonzero(column == value),
        )
        for value in values.tolist()
    ]


def faded(
    problem: Problem, highlight: Collection[int], micro_batch: int | None
) -> np.ndarray | None:
    """Which operators are drawn pale; None for none of them."""
    n = problem.graph.n_operators
    if micro_batch is not None:
        return problem.graph.micro_batch != micro_batch
    if len(highlight):
        pale = np.ones(n, dtype=bool)
        pale[list(highlight)] = False
        return pale
    return None


def _cells(
    problem: Problem,
    schedule: Schedule,
    members: np.ndarray,
    row_of: IntArray,
    colour: str,
    pale: np.ndarray | None,
    key: str,
) -> go.Bar:
    text, picked = labels(problem), members.tolist()
    return go.Bar(
        orientation="h",
        y=row_of[members],
        x=schedule.finish[members] - schedule.start[members],
        base=schedule.start[members],
        width=0.94,
        text=[text[o] for o in picked],
        insidetextanchor="middle",
        textangle=0,
        insidetextfont={"color": ink(colour), "size": 13},
        constraintext="inside",
        hovertext=hovers(problem, schedule, members),
        hovertemplate="%{hovertext}<extra></extra>",
        customdata=[[key, o] for o in picked],
        marker={
            "color": colour,
            "opacity": 1.0 if pale is None else np.where(pale[members], 0.28, 1.0),
            # A hairline in the colour of the page keeps neighbours apart at any zoom.
            "line": {"width": 0.7},
        },
        selected={"marker": {"opacity": 1.0}},
        unselected={"marker": {"opacity": 1.0}},
    )


def label_size(
    problem: Problem, schedule: Schedule, axis_end: float, plot_width: float = PLOT_WIDTH
) -> float | None:
    """Font size at which every number fits its cell; None if that would be too small.

    Numbers of one size are then drawn over the cells; otherwise the cells draw their own, which
    shrink, hide when unreadable and come back as the reader zooms in.
    """
    taken = schedule.finish - schedule.start
    digits = np.array([len(text) for text in labels(problem)])
    written = (digits > 0) & (taken > 0)
    if not written.any() or axis_end <= 0:
        return None
    pixels = taken[written] / axis_end * plot_width
    size = float((0.96 * pixels / (DIGIT_WIDTH * digits[written])).min())
    return None if size < SMALLEST_LABEL else min(size, LARGEST_LABEL)


def _numbers(
    problem: Problem,
    schedule: Schedule,
    members: np.ndarray,
    row_of: IntArray,
    colour: str,
    size: float,
) -> go.Scatter:
    text = labels(problem)
    return go.Scatter(
        x=(schedule.start[members] + schedule.finish[members]) / 2,
        y=row_of[members],
        mode="text",
        text=[text[o] for o in members.tolist()],
        textfont={"size": size, "color": colour},
        hoverinfo="skip",
        showlegend=False,
    )


def _outline(schedule: Schedule, picked: list[int], row_of: IntArray, theme: Theme) -> go.Bar:
    return go.Bar(
        orientation="h",
        y=row_of[picked],
        x=schedule.finish[picked] - schedule.start[picked],
        base=schedule.start[picked],
        width=0.94,
        marker={"color": "rgba(0,0,0,0)", "line": {"width": 2.2, "color": theme.outline}},
        hoverinfo="skip",
        showlegend=False,
    )
