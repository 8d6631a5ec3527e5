"""A measure, mostly the makespan, against peak memory: the frontier and the expert schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from planner_core.charts.numbers import number
from planner_core.charts.theme import LIGHT, Theme, shade, styled


@dataclass(frozen=True, kw_only=True)
class FrontierPoint:
    """One schedule in the plot.

    Parameters
    ----------
    key, title : str
    peak_memory : float
    value : float
        Of the measure, such as the makespan.
    kind : str
        ``optimal`` (proved), ``feasible``, or ``baseline``.
    note : str
        In the hover.
    lower_bound : float, optional
        Proved bound on the measure at this value of the swept setting.
    limit : float, optional
        Value of the swept setting, such as the memory limit of the plan; without one the point
        stands at its peak memory.
    """

    key: str
    title: str
    peak_memory: float
    value: float
    kind: str = "feasible"
    note: str = ""
    lower_bound: float | None = None
    limit: float | None = None


def frontier(
    points: Sequence[FrontierPoint],
    theme: Theme = LIGHT,
    *,
    measure: str = "makespan",
    unit: str = "ms",
    memory_unit: str = "MiB",
    swept: str | None = None,
) -> go.Figure:
    """Return a measure against memory: plans as a staircase, baselines as single points.

    Plans stand at their memory limit, baselines at the peak memory they need. With ``swept``,
    the title of another axis, all points stand at their value of that setting and every
    baseline is a line.

    Parameters
    ----------
    points : sequence of FrontierPoint
    theme : Theme
    measure, unit : str
        What the values are.
    memory_unit : str
    swept : str, optional
    """
    figure = go.Figure()
    if swept is not None:
        _add_lines(figure, [p for p in points if p.kind == "baseline"], theme)
    plans = sorted((p for p in points if p.kind != "baseline"), key=_place)
    baselines = [p for p in points if p.kind == "baseline"]
    if len(plans) > 1:
        figure.add_trace(
            go.Scatter(
                x=[_place(p) for p in plans],
                y=[p.value for p in plans],
                mode="lines",
                line={
                    "shape": "hv" if swept is None else "linear",
                    "width": 2,
                    "color": theme.accent,
                },
                hoverinfo="skip",
                showlegend=False,
            )
        )
    for kind, title, colour, symbol in (
        # Plans are drawn over expert schedules, smaller: one does not hide the other.
        ("baseline", "expert schedule", shade("backward", 0, 1), "diamond"),
        ("optimal", "plan, proved optimal", theme.good, "circle"),
        ("feasible", "plan, not proved", theme.accent, "circle-open"),
    ):
        chosen = baselines if kind == "baseline" else [p for p in plans if p.kind == kind]
        if not chosen:
            continue
        figure.add_trace(
            go.Scatter(
                x=[_place(p) for p in chosen],
                y=[p.value for p in chosen],
                mode="markers+text" if kind == "baseline" and swept is None else "markers",
                text=[p.title for p in chosen],
                textposition=_sides(chosen),
                textfont={"size": 12, "color": theme.muted},
                name=title,
                marker={
                    "size": 10 if kind != "baseline" else 15 if swept is None else 8,
                    "symbol": symbol,
                    "color": colour,
                    # An open symbol is all line, in its own colour.
                    "line": {"width": 2}
                    if symbol.endswith("open")
                    else {"width": 1.5, "color": theme.paper},
                },
                customdata=[[p.key, 0] for p in chosen],
                hovertext=[_hover(p, measure, unit, memory_unit) for p in chosen],
                hovertemplate="%{hovertext}<extra></extra>",
                cliponaxis=False,
                selected={"marker": {"opacity": 1.0}},
                unselected={"marker": {"opacity": 1.0}, "textfont": {"color": theme.muted}},
            )
        )
    styled(figure, theme, height=460, left=64)
    places = [_place(p) for p in points]
    margin = 0.14 * (max(places) - min(places)) or 0.2 * max(places) or 1.0
    left = max(min(places) - margin, -0.05 * (max(places) + margin))  # nothing is below none
    figure.update_xaxes(range=[left, max(places) + margin])
    figure.update_xaxes(title_text=swept or f"memory per device ({memory_unit})", title_standoff=8)
    figure.update_yaxes(title_text=f"{measure} ({unit})", title_standoff=8)
    figure.update_layout(showlegend=True, uirevision="frontier", margin={"t": 44, "r": 30})
    return figure


def _add_lines(figure: go.Figure, baselines: list[FrontierPoint], theme: Theme) -> None:
    """A thin line per expert schedule, its title at the right end."""
    for title in dict.fromkeys(p.title for p in baselines):
        line = sorted((p for p in baselines if p.title == title), key=_place)
        figure.add_trace(
            go.Scatter(
                x=[_place(p) for p in line],
                y=[p.value for p in line],
                mode="lines+text",
                text=[""] * (len(line) - 1) + [f" {title}"],
                textposition="middle right",
                textfont={"size": 12, "color": theme.muted},
                line={"width": 1, "color": theme.muted, "dash": "dot"},
                hoverinfo="skip",
                cliponaxis=False,
                showlegend=False,
            )
        )


def same_place(points: Sequence[FrontierPoint], key: str) -> list[FrontierPoint]:
    """Return the point of a key and all points that it covers or that cover it, plans first."""
    chosen = next((point for point in points if point.key == key), None)
    if chosen is None:
        return []
    at = (_place(chosen), chosen.value)
    there = [point for point in points if np.allclose((_place(point), point.value), at)]
    return sorted(there, key=lambda point: (point.kind == "baseline", point.key != key))


def _place(point: FrontierPoint) -> float:
    return point.peak_memory if point.limit is None else point.limit


def _sides(points: Sequence[FrontierPoint]) -> list[str]:
    """Where labels stand, so that they write neither over each other nor over a neighbour."""
    sides = ("middle right", "bottom right", "top right", "middle left", "bottom left")
    width = max(_place(p) for p in points) - min(_place(p) for p in points)
    height = max(p.value for p in points) - min(p.value for p in points)
    taken: dict[tuple[float, float], int] = {}
    chosen = []
    for point in points:
        place = (round(_place(point), 6), round(point.value, 6))
        crowded = any(
            0 < _place(other) - _place(point) < 0.2 * width
            and abs(other.value - point.value) < 0.03 * height
            for other in points
        )
        turn = taken.get(place, 0) + (3 if crowded else 0)
        chosen.append(sides[turn % len(sides)])
        taken[place] = taken.get(place, 0) + 1
    return chosen


def _hover(point: FrontierPoint, measure: str, unit: str, memory_unit: str) -> str:
    lines = [
        f"<b>{point.title}</b>",
        f"{measure} {number(point.value)} {unit}",
    ]
    if measure != "peak memory":
        lines.append(f"peak memory {number(point.peak_memory)} {memory_unit}")
    if point.lower_bound is not None:
        lines.append(f"lower bound {number(point.lower_bound)} {unit}")
    if point.note:
        lines.append(point.note)
    return "<br>".join(lines)
