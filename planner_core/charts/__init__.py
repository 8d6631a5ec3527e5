"""Plotly figures of schedules; one figure per module, each function returns a Figure."""

from planner_core.charts.comparison import Entry, comparison
from planner_core.charts.convergence import convergence
from planner_core.charts.frontier import FrontierPoint, frontier
from planner_core.charts.gantt import gantt
from planner_core.charts.idle import idle_causes_chart
from planner_core.charts.theme import DARK, LIGHT, Theme
from planner_core.charts.timeline import timeline

__all__ = [
    "DARK",
    "LIGHT",
    "Entry",
    "FrontierPoint",
    "Theme",
    "comparison",
    "convergence",
    "frontier",
    "gantt",
    "idle_causes_chart",
    "timeline",
]
