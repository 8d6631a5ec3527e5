"""Incumbent, lower bound and gap of a search over time."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from planner_core.charts.theme import LIGHT, Theme, styled
from planner_core.schedule import relative_gap


def convergence(
    points: Sequence[tuple[float, float | None, float | None]],
    theme: Theme = LIGHT,
    *,
    measure: str = "makespan",
    unit: str = "ms",
    now: float | None = None,
    height: int = 260,
) -> go.Figure:
    """Return incumbent, lower bound and the gap between them over the seconds of a search.

    Parameters
    ----------
    points : sequence of (seconds, incumbent or None, lower bound or None)
        In order of time.
    theme : Theme
    measure, unit : str
        What is minimised.
    now : float, optional
        Seconds until which the last values are drawn.
    height : int
        Pixels.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    figure = go.Figure()
    end = max([now or 0.0, *(point[0] for point in points)], default=0.0)
    series = (("incumbent", 1, theme.accent, "solid"), ("lower bound", 2, theme.good, "dash"))
    values: list[float] = []
    for name, column, colour, dash in series:
        known = [(point[0], value) for point in points if (value := point[column])]
        if not known:
            continue
        # Low bounds on their way up would squeeze the part that matters: the gap.
        values += [value for _, value in known] if column == 1 else [known[-1][1]]
        seconds = [second for second, _ in known] + [end]
        level = [value for _, value in known] + [known[-1][1]]
        figure.add_trace(
            go.Scatter(
                x=seconds,
                y=level,
                mode="lines",
                name=name,
                line={"shape": "hv", "width": 2.4, "color": colour, "dash": dash},
                hovertemplate=f"{name} %{{y:.6g}} {unit}<br>after %{{x:.1f}} s<extra></extra>",
            )
        )
    _add_gap(figure, points, end, theme)
    styled(figure, theme, height=height)
    figure.update_xaxes(
        title_text="seconds", range=[0, max(1.0, end)], showgrid=False, title_standoff=6
    )
    figure.update_yaxes(title_text=f"{measure} ({unit})", title_standoff=6, nticks=6)
    if values:
        low, high = min(values), max(values)
        near = low - 0.5 * (high - low)
        low = min([low, *(bound for _, _, bound in points if bound is not None and bound >= near)])
        margin = max(0.08 * (high - low), 0.01 * high, 1e-9)
        figure.update_yaxes(range=[low - margin, high + margin])
    figure.update_layout(
        uirevision="convergence",
        margin={"t": 34, "r": 52},
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "title": {
                "text": "gap",
                "standoff": 4,
                "font": {"color": theme.muted, "size": 13},
            },
            "tickformat": ".0%",
            "tickmode": "auto",  # not beside the other axis's ticks: their places are odd shares
            "nticks": 4,
            "zeroline": False,
            "rangemode": "tozero",
            "showgrid": False,
            "tickfont": {"color": theme.muted, "size": 12},
        },
    )
    return figure


def _add_gap(
    figure: go.Figure,
    points: Sequence[tuple[float, float | None, float | None]],
    end: float,
    theme: Theme,
) -> None:
    """The gap, on an axis of its own at the right."""
    known = [
        (second, relative_gap(incumbent, bound))
        for second, incumbent, bound in points
        if incumbent and bound is not None
    ]
    if not known:
        return
    figure.add_trace(
        go.Scatter(
            x=[second for second, _ in known] + [end],
            y=[gap for _, gap in known] + [known[-1][1]],
            yaxis="y2",
            mode="lines",
            name="gap",
            line={"shape": "hv", "width": 1.4, "color": theme.muted, "dash": "dot"},
            hovertemplate="gap %{y:.1%}<br>after %{x:.1f} s<extra></extra>",
        )
    )
