"""Where each device's idle time comes from, as stacked bars."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from planner_core.analysis.idle_causes import (
    CAUSES,
    CHOICE,
    DONE,
    MEMORY,
    OPERATOR,
    TRANSFER,
    Gap,
)
from planner_core.charts.theme import LIGHT, Theme, styled
from planner_core.problem import Problem

_LOOKS: dict[str, tuple[str, str]] = {
    OPERATOR: ("#7b4fb0", ""),
    TRANSFER: ("#d0812b", "/"),
    MEMORY: ("#b13a78", "x"),
    CHOICE: ("#8fa3bd", ""),
    DONE: ("#5f6f84", "."),
}
"""Colour and pattern of every cause: none of them a kind's, and told apart without colour."""


def idle_causes_chart(problem: Problem, gaps: Sequence[Gap], theme: Theme = LIGHT) -> go.Figure:
    """Return one bar per device: its idle time by cause.

    Parameters
    ----------
    problem : Problem
    gaps : sequence of Gap
        From :func:`planner_core.analysis.idle_causes.idle_causes`.
    theme : Theme
    """
    figure = go.Figure()
    devices = list(problem.cluster.device_ids)
    for cause in CAUSES:
        total = [0.0] * len(devices)
        for gap in gaps:
            if gap.cause == cause:
                total[gap.device] += gap.end - gap.start
        if not any(total):
            continue
        figure.add_trace(
            go.Bar(
                orientation="h",
                y=devices,
                x=total,
                name=cause,
                marker={
                    "color": _LOOKS[cause][0],
                    "pattern": {
                        "shape": _LOOKS[cause][1],
                        "bgcolor": _LOOKS[cause][0],
                        "fgcolor": theme.paper,
                        "size": 7,
                    },
                    "line": {"width": 0},
                },
                hovertemplate=f"%{{y}}: %{{x:.6g}} {problem.time_unit} {cause}<extra></extra>",
            )
        )
    styled(figure, theme, height=96 + 24 * len(devices))
    figure.update_layout(barmode="stack", bargap=0.25, margin={"t": 40})
    figure.update_layout(legend_traceorder="normal")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    figure.update_xaxes(title_text=f"idle time ({problem.time_unit})", title_standoff=6)
    return figure
