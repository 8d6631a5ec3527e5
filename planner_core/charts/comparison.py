"""Several schedules under each other on one time axis, memory below each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from planner_core.charts.gantt import add_gantt, label_rule, row_height
from planner_core.charts.memory import HEIGHT, add_memory, line_colour
from planner_core.charts.numbers import number
from planner_core.charts.rows import rows
from planner_core.charts.theme import LIGHT, Theme, styled
from planner_core.problem import Problem
from planner_core.schedule import Schedule

_TITLE, _MEMORY_GAP, _TOP, _BOTTOM = 58, 10, 40, 48


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One schedule of a comparison.

    Parameters
    ----------
    key : str
        Names the entry in the customdata of its cells.
    title : str
    problem : Problem
        The problem the schedule is of: a baseline may have its own placement.
    schedule : Schedule
    note : str
        Beside the title: proof status, or why the schedule does not fit.
    """

    key: str
    title: str
    problem: Problem
    schedule: Schedule
    note: str = ""


def comparison(
    entries: Sequence[Entry],
    theme: Theme = LIGHT,
    *,
    colour_by: str = "kind",
    memory: bool = True,
    highlight: tuple[str, Collection[int]] | None = None,
    micro_batch: int | None = None,
    window: tuple[float, float] | None = None,
) -> go.Figure:
    """Return the Gantt charts of several schedules with one shared time axis.

    Parameters
    ----------
    entries : sequence of Entry
        From top to bottom; at least one.
    theme : Theme
    colour_by : {"kind", "stage", "micro-batch"}
    memory : bool
        Draw memory in use below every Gantt chart.
    highlight : (key, operators), optional
        Operators of one entry to outline.
    micro_batch : int, optional
        Fade all other micro-batches.
    window : (from, until), optional
        Zoom to this stretch of time.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    panels = _panels(entries, memory)
    height = _TOP + sum(above + tall for above, tall, _, _ in panels) + _BOTTOM
    plot = height - _TOP - _BOTTOM
    figure = make_subplots(rows=len(panels), cols=1, shared_xaxes=True)
    longest = max(entry.schedule.makespan for entry in entries)
    above = 0.0
    seen: set[str] = set()
    for row, (gap, tall, entry, is_memory) in enumerate(panels, start=1):
        above += gap
        domain = [max(0.0, 1 - (above + tall) / plot), 1 - above / plot]
        above += tall
        figure.update_yaxes(domain=domain, row=row, col=1)
        if is_memory:
            add_memory(figure, entry.problem, entry.schedule, theme, row=row)
            continue
        picked = highlight[1] if highlight and highlight[0] == entry.key else ()
        add_gantt(
            figure,
            entry.problem,
            entry.schedule,
            theme,
            row=row,
            colour_by=colour_by,
            highlight=picked,
            micro_batch=micro_batch,
            key=entry.key,
            legend=seen,
            axis_end=longest,
            window=window,
        )
        seen.update(trace.name for trace in figure.data if trace.name)
        if memory:
            figure.update_yaxes(ticktext=_keyed(entry, theme), row=row, col=1)
        _add_title(figure, entry, domain[1], longest, row, theme)
    left = (44 if memory else 26) + 7 * max(
        len(name) for entry in entries for name in _names(entry)
    )
    styled(figure, theme, height=int(height), left=max(56, min(left, 170)))
    figure.update_layout(barmode="overlay", uirevision=f"comparison {window}", **label_rule())
    figure.update_layout(
        margin={"t": _TOP, "b": _BOTTOM},
        legend={"y": 1.0, "yref": "container", "yanchor": "top"},
        hovermode="closest",
        dragmode="pan",
    )
    figure.update_xaxes(range=window or [0, longest * 1.004 or 1], showgrid=False, ticks="outside")
    figure.update_xaxes(tickcolor=theme.grid, showticklabels=False)
    unit = entries[0].problem.time_unit
    figure.update_xaxes(
        showticklabels=True, title_text=f"time ({unit})", title_standoff=8, row=len(panels), col=1
    )
    return figure


def _names(entry: Entry) -> list[str]:
    return rows(entry.problem, entry.schedule)[0]


def _keyed(entry: Entry, theme: Theme) -> list[str]:
    """Names of the rows, those of devices with a dash in the colour of their memory's line."""
    devices = entry.problem.cluster.device_ids
    dash = {
        name: f' <span style="color:{line_colour(k, len(devices), theme)}">━</span>'
        for k, name in enumerate(devices)
    }
    return [name + dash.get(name, "") for name in _names(entry)]


def _panels(entries: Sequence[Entry], memory: bool) -> list[tuple[float, float, Entry, bool]]:
    """(space above, height, entry, whether it is memory), in pixels from the top."""
    panels: list[tuple[float, float, Entry, bool]] = []
    for entry in entries:
        n_rows = len(_names(entry))
        panels.append((_TITLE, row_height(n_rows) * n_rows, entry, False))
        if memory:
            panels.append((_MEMORY_GAP, HEIGHT, entry, True))
    return panels


def _add_title(
    figure: go.Figure, entry: Entry, top: float, longest: float, row: int, theme: Theme
) -> None:
    """Title above a Gantt chart and a mark at its makespan."""
    unit, makespan = entry.problem.time_unit, entry.schedule.makespan
    figure.add_annotation(
        text=f"<b>{entry.title}</b>   makespan <b>{number(makespan)}</b> {unit}",
        x=0,
        xref="paper",
        xanchor="left",
        y=top,
        yref="paper",
        yanchor="bottom",
        yshift=24 if entry.note else 6,
        showarrow=False,
        font={"size": 16, "color": theme.text},
    )
    if entry.note:
        figure.add_annotation(
            text=entry.note,
            x=0,
            xref="paper",
            xanchor="left",
            y=top,
            yref="paper",
            yanchor="bottom",
            yshift=4,
            showarrow=False,
            font={"size": 13, "color": theme.muted},
        )
    figure.add_vline(
        x=makespan, line={"width": 1.6, "color": theme.text, "dash": "dot"}, row=row, col=1
    )
