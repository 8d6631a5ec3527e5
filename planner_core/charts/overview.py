"""Overview of a schedule with too many operators for bars: how busy each row is over time."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from planner_core.charts.theme import Theme, shade
from planner_core.problem import Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule import Schedule

CELLS = 600
"""Cells along the time axis; the size of the figure depends on them alone."""


def add_overview(
    figure: go.Figure,
    problem: Problem,
    schedule: Schedule,
    row_of: IntArray,
    n_rows: int,
    theme: Theme,
    place: dict[str, int],
) -> None:
    """Add a heat map of the busy share of every row and slice of time."""
    share = busy_shares(schedule, row_of, n_rows)
    width = schedule.makespan / CELLS
    figure.add_trace(
        go.Heatmap(
            z=share,
            x=(np.arange(CELLS) + 0.5) * width,
            y=np.arange(n_rows),
            zmin=0,
            zmax=1,
            colorscale=[[0, theme.idle], [1, shade("forward", 0, 1)]],
            showscale=False,
            ygap=2,
            hovertemplate=f"%{{x:.4g}} {problem.time_unit}: %{{z:.0%}} busy<extra></extra>",
        ),
        **place,
    )


def busy_shares(
    schedule: Schedule, row_of: IntArray, n_rows: int, cells: int = CELLS
) -> FloatArray:
    """Busy share of every row in equal slices of the makespan; shape (n_rows, cells)."""
    width = schedule.makespan / cells if schedule.makespan > 0 else 1.0
    edges: FloatArray = np.arange(cells + 1, dtype=np.float64) * width
    shares = np.zeros((n_rows, cells))
    for row in range(n_rows):
        members = row_of == row
        # Busy time until t is the sum of ramps; sorted ends make it one search per edge.
        start, finish = np.sort(schedule.start[members]), np.sort(schedule.finish[members])
        begun = _ramp_sum(start, edges)
        done = _ramp_sum(finish, edges)
        shares[row] = np.diff(begun - done) / width
    return np.clip(shares, 0.0, 1.0)


def _ramp_sum(times: np.ndarray, edges: FloatArray) -> FloatArray:
    """Sum over ``times`` of max(0, edge − time), for every edge."""
    total = np.concatenate([[0.0], np.cumsum(times)])
    passed = np.searchsorted(times, edges, side="right")
    return edges * passed - total[passed]
