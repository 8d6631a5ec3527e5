"""A self-contained HTML report: settings, charts, figures and proof, to open offline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from planner_core.analysis.table import HELP, Compared, rows
from planner_core.charts.comparison import Entry, comparison
from planner_core.charts.numbers import number, percent
from planner_core.charts.theme import FONT, LIGHT, Theme
from planner_core.problem import Problem

_SHARES = ("gap", "idle share", "window share", "textbook rate")


def report(
    problem: Problem,
    entries: Sequence[Entry],
    compared: Sequence[Compared],
    theme: Theme = LIGHT,
) -> str:
    """Return a report as one HTML page that loads nothing from anywhere.

    Parameters
    ----------
    problem : Problem
        What was planned.
    entries : sequence of Entry
        The schedules to draw.
    compared : sequence of Compared
        The same schedules for the table of figures.
    theme : Theme
    """
    figure = comparison(entries, theme)
    chart = figure.to_html(full_html=False, include_plotlyjs=True, config={"displaylogo": False})
    table = rows(list(compared))
    columns = list(table[0])
    head = "".join(
        f'<th title="{escape(HELP.get(name, ""))}">{escape(name)}</th>' for name in columns
    )
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(name, row[name])}</td>" for name in columns) + "</tr>"
        for row in table
    )
    limits = ", ".join(
        f"{name} {number(float(limit))}"
        for name, limit in zip(problem.cluster.device_ids, problem.cluster.memory, strict=True)
    )
    definitions = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in HELP.items()
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(problem.name)}</title>
<style>
body {{font-family: {FONT}; color: {theme.text}; background: {theme.paper};
  max-width: 1400px; margin: 2rem auto; padding: 0 1.5rem; line-height: 1.45}}
table {{border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums}}
th, td {{text-align: left; padding: 0.35rem 0.7rem; border-bottom: 1px solid {theme.grid}}}
th {{color: {theme.muted}; font-weight: 600}}
dt {{font-weight: 600}} dd {{margin: 0 0 0.4rem 0; color: {theme.muted}}}
</style></head><body>
<h1>{escape(problem.name)}</h1>
<p>{problem.graph.n_operators} operators on {problem.n_devices} devices, minimising
{escape(", ".join(problem.objective.minimize))}. Times in {escape(problem.time_unit)}, memory in
{escape(problem.memory_unit)}. Memory limits: {escape(limits)}.</p>
{chart}
<h2>Figures</h2>
<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>
<h2>Definitions</h2><dl>{definitions}</dl>
</body></html>
"""


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str):
        return escape(value)
    if name in _SHARES:
        return percent(None if value is None else value / 100)
    return number(value)
