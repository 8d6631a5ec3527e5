"""One instant of a chart over time: what comes later is veiled."""

from __future__ import annotations

import plotly.graph_objects as go

from planner_core.charts.theme import Theme


def veil_after(figure: go.Figure, time: float, theme: Theme) -> None:
    """Mark ``time`` on every panel of a figure and veil what lies to its right.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        Its panels share one time axis with a fixed range, as :func:`comparison` draws them.
    time : float
    theme : Theme
    """
    panels = max(1, len(list(figure.select_xaxes())))
    last = "x" if panels == 1 else f"x{panels}"
    end = next(iter(figure.select_xaxes())).range[1]
    across = {"xref": last, "yref": "paper", "y0": 0, "y1": 1}
    figure.add_shape(
        type="rect",
        x0=time,
        x1=end,
        fillcolor=theme.paper,
        opacity=0.72,
        line={"width": 0},
        **across,
    )
    figure.add_shape(
        type="line", x0=time, x1=time, line={"width": 2, "color": theme.accent}, **across
    )
