"""A self-contained HTML report: settings, charts, figures and proof, to open offline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from planner_core.analysis.table import HELP, Compared, rows
from planner_core.charts.comparison import Entry, comparison
from planner_core.charts.convergence import convergence
from planner_core.charts.gantt import MOST_WRITTEN
from planner_core.charts.numbers import number, percent
from planner_core.charts.theme import FONT, LIGHT, Theme
from planner_core.problem import Problem
from planner_core.schedule import Plan, micro_batch_count

_SHARES = ("gap", "idle share", "window share", "textbook rate")


def report(
    problem: Problem,
    entries: Sequence[Entry],
    compared: Sequence[Compared],
    theme: Theme = LIGHT,
    *,
    plan: Plan | None = None,
    history: Sequence[tuple[float, float | None, float | None]] = (),
    about: str = "",
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
    plan : Plan, optional
        Its proof status is stated first.
    history : sequence of (seconds, incumbent or None, lower bound or None)
        How the search of the plan went; drawn if there is any.
    about : str
        Where the problem comes from, such as what its durations were computed with.
    """
    figure = comparison(entries, theme)
    chart = figure.to_html(full_html=False, include_plotlyjs=True, config={"displaylogo": False})
    measure = problem.objective.primary
    timed = measure in ("makespan", "period")
    unit = problem.time_unit if timed else problem.memory_unit
    search = ""
    if len(history) > 1:
        curve = convergence(
            history,
            theme,
            measure=measure.replace("_", " "),
            unit=unit,
            now=None if plan is None else plan.seconds,
        )
        search = "<h2>Search</h2>" + curve.to_html(
            full_html=False, include_plotlyjs=False, config={"displaylogo": False}
        )
    unwritten = ""
    if any(entry.problem.graph.n_operators > MOST_WRITTEN for entry in entries):
        unwritten = "<p>With this many operators numbers are left out: point at a cell.</p>"
    table = rows(list(compared))
    columns = list(table[0])
    head = "".join(
        f'<th title="{escape(HELP.get(name, ""))}">{escape(name)}</th>' for name in columns
    )
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(name, row[name])}</td>" for name in columns) + "</tr>"
        for row in table
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
{_verdict(plan, unit)}
<h2>Settings</h2>{_settings(problem, about)}
<h2>Schedules</h2>
{chart}
{unwritten}
<h2>Figures</h2>
<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>
{search}
<h2>Definitions</h2><dl>{definitions}</dl>
</body></html>
"""


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str):
        return escape(value)
    if name in _SHARES:
        return percent(None if value is None else value / 100)
    return number(value)


def _verdict(plan: Plan | None, unit: str) -> str:
    """One paragraph on what was found and what is proved about it."""
    if plan is None:
        return "<p>No plan was searched for: these are expert schedules.</p>"
    if plan.schedule is None:
        return f"<p><b>No plan</b> ({escape(plan.status)}): {escape(plan.reason or '')}.</p>"
    measure = plan.problem.objective.primary.replace("_", " ")
    proof = {
        "optimal": f"proved optimal by the {plan.proved_by}",
        "feasible": f"not proved optimal; the lower bound is {number(plan.lower_bound)} {unit} "
        f"(gap {percent(plan.gap)}, by the {plan.proved_by})",
    }[plan.status]
    return (
        f"<p><b>{escape(measure.capitalize())} {number(plan.value)} {escape(unit)}</b>, "
        f"{escape(proof)}. Found by {escape(str(plan.found_by))} in {plan.seconds:.1f} s.</p>"
    )


def _settings(problem: Problem, about: str) -> str:
    """A table of what was planned under which limits."""
    cluster = problem.cluster
    limits = np.unique(cluster.memory)
    memory = ", ".join(
        f"{name} {number(float(limit))}"
        for name, limit in zip(cluster.device_ids, cluster.memory, strict=True)
    )
    budgets = ", ".join(
        f"{name.replace('_', ' ')} ≤ {number(value)}"
        for name, value in problem.objective.subject_to.items()
    )
    facts = {"about": about} if about else {}
    facts |= {
        "operators": f"{problem.graph.n_operators:,}",
        "micro-batches": str(micro_batch_count(problem)),
        "devices": str(problem.n_devices),
        f"memory limit ({problem.memory_unit})": number(float(limits[0]))
        if len(limits) == 1
        else memory,
        "transfers": "staged" if cluster.staged else "overlapped",
        "minimised": ", then ".join(m.replace("_", " ") for m in problem.objective.minimize),
        "budgets": budgets or "none",
        "units": f"time in {problem.time_unit}, memory in {problem.memory_unit}",
    }
    rows_ = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items()
    )
    return f"<table>{rows_}</table>"
