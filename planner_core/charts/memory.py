"""Memory in use on every device over time, as step lines against the limit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from planner_core.charts.numbers import number
from planner_core.charts.theme import LIGHT, Theme, scale, styled
from planner_core.problem import Problem
from planner_core.schedule import MemoryProfile, Schedule, memory_profiles

HEIGHT = 92
"""Pixels of a memory panel below a Gantt chart."""

MOST_POINTS = 1500
"""Steps drawn per device; the peaks of a longer profile are kept."""


def memory_chart(problem: Problem, schedule: Schedule, theme: Theme = LIGHT) -> go.Figure:
    """Return the memory of a schedule: one step line per device, the limit dashed."""
    figure = go.Figure()
    add_memory(figure, problem, schedule, theme)
    styled(figure, theme, height=260)
    figure.update_xaxes(title_text=f"time ({problem.time_unit})", showgrid=False)
    return figure


def add_memory(
    figure: go.Figure,
    problem: Problem,
    schedule: Schedule,
    theme: Theme,
    *,
    row: int | None = None,
) -> None:
    """Add the memory of a schedule to a figure (at a row of its subplots)."""
    place = {} if row is None else {"row": row, "col": 1}
    profiles = memory_profiles(problem, schedule)
    limits = problem.cluster.memory
    for k, profile in enumerate(profiles):
        time, used = steps(profile, schedule.makespan)
        name = problem.cluster.device_ids[k]
        figure.add_trace(
            go.Scatter(
                x=time,
                y=used,
                mode="lines",
                line={"shape": "hv", "width": 1.3, "color": line_colour(k, len(profiles), theme)},
                opacity=0.9,
                name=name,
                showlegend=False,
                hovertemplate=(
                    f"<b>{name}</b> holds %{{y:.6g}} {problem.memory_unit}<br>"
                    f"from %{{x:.6g}} {problem.time_unit}<br>"
                    f"peak {number(profile.peak)}, limit {number(limits[k])}<extra></extra>"
                ),
            ),
            **place,
        )
    shown, top = shown_limits(problem, profiles)
    for limit in shown:
        figure.add_trace(
            go.Scatter(
                x=[0, schedule.makespan],
                y=[limit, limit],
                mode="lines",
                line={"dash": "dash", "width": 1.2, "color": theme.limit},
                hovertemplate=f"limit {number(limit)} {problem.memory_unit}<extra></extra>",
                showlegend=False,
            ),
            **place,
        )
    figure.update_yaxes(
        range=[0, 1.12 * top or 1],
        nticks=4,
        title_text=problem.memory_unit,
        title_standoff=4,
        fixedrange=True,
        **place,
    )


def line_colour(device: int, count: int, theme: Theme) -> str:
    """Colour of a device's line among those of ``count`` devices."""
    return scale(device / max(1, count - 1), theme)


def shown_limits(problem: Problem, profiles: Sequence[MemoryProfile]) -> tuple[list[float], float]:
    """Limits to draw, and the highest level drawn: peak or limit.

    A limit far above all use would flatten the curves; it is in the hover and the table.
    """
    limits = problem.cluster.memory
    peak = max(profile.peak for profile in profiles)
    shown = [
        limit for limit in np.unique(limits[np.isfinite(limits)]).tolist() if limit <= 2 * peak
    ]
    return shown, max([peak, *shown])


def steps(profile: MemoryProfile, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Instants and levels of a profile until ``end``, thinned to :data:`MOST_POINTS`."""
    time, used = profile.time, profile.used
    if len(time) > MOST_POINTS:
        # Keep the highest level of every stretch: a limit that is hit must be seen.
        pieces = np.array_split(np.arange(len(time)), MOST_POINTS)
        time = np.array([time[piece[0]] for piece in pieces])
        used = np.array([used[piece].max() for piece in pieces])
    return np.append(time, max(end, time[-1])), np.append(used, used[-1])
