"""The frontier of a sweep, the schedules of a point, and the points as a table."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.components import baselines, timeline
from pages.components.session_settings import unit_of
from pages.components.setup import theme
from pages.components.solves import keep_plan, kept_plans, verdict
from pages.components.sweep import (
    AXES,
    Sweep,
    chosen_point,
    experts,
    plan_points,
    point_key,
)
from planner_core.charts import Entry, FrontierPoint, frontier
from planner_core.charts.frontier import same_place
from planner_core.charts.numbers import number
from planner_core.problem import Problem
from planner_core.schedule import Plan

AT_ONCE = 0.3
"""Seconds expert schedules are waited for before the page is drawn without the last of them."""

MOST_OPEN = 4
"""Schedules opened by one click; more may stand at one place."""


def figure(problem: Problem, axis: str, sweep: Sweep | None) -> None:
    """The frontier; runs by itself until the last search and expert schedule is done."""
    busy = sweep is not None and sweep.running
    early = not experts(problem, axis, sweep, AT_ONCE).over

    @st.fragment(run_every=0.5 if early else 1.0 if busy else None)
    def draw() -> None:
        if sweep is not None:
            done = sum(job.finished.is_set() for _, job in sweep.jobs)
            if busy:
                told = [f"{done} of {len(sweep.jobs)} plans solved", sweep.waiting()]
                st.progress(done / len(sweep.jobs), " · ".join(filter(None, told)))
            for value, reason in sweep.failures():
                st.warning(
                    f"{AXES[axis].title.capitalize()} {number(value)}: {reason}.",
                    icon=":material/block:",
                )
        beside = experts(problem, axis, sweep)
        if not beside.over:
            st.caption(
                ":material/hourglass_top: Making the expert schedules of this problem: "
                f"{beside.made} of {beside.count}"
            )
        points = (plan_points(sweep) if sweep else []) + beside.points
        if not points and beside.over:
            st.info("Press **Sweep** for a plan at each value, beside the expert schedules.")
            return
        st.plotly_chart(
            frontier(
                points,
                theme(),
                measure=_measure(problem),
                unit=unit_of(problem, problem.objective.primary),
                memory_unit=problem.memory_unit,
                swept=None if axis == "memory" else AXES[axis].label(problem),
            ),
            theme=None,
            key="frontier",
            alt=_spoken(points, problem),
            on_select="rerun",
            selection_mode="points",
            config={"displaylogo": False, "toImageButtonOptions": {"scale": 2}},
        )
        _opened(problem, sweep, points)
        _as_table(problem, axis, points)
        if (busy and not sweep.running) or (early and beside.over):
            st.rerun()  # it runs by itself more seldom, or no more

    draw()


def _measure(problem: Problem) -> str:
    """What the points' values are, in words."""
    return problem.objective.primary.replace("_", " ")


def _spoken(points: list[FrontierPoint], problem: Problem) -> str:
    """The points in words; all of them are in the table below."""
    measure, unit = _measure(problem), unit_of(problem, problem.objective.primary)
    plans = [
        f"{p.title} {measure} {number(p.value)} {unit}" for p in points if p.kind != "baseline"
    ]
    experts = len(points) - len(plans)
    return "; ".join(
        [f"{measure.capitalize()} of {experts} expert schedules", *plans, "details in the table"]
    )


def _opened(problem: Problem, sweep: Sweep | None, points: list[FrontierPoint]) -> None:
    """The schedule of the point that was clicked, and those of the points it covers."""
    chosen = chosen_point(points)
    if chosen is None:
        st.caption(
            "Click a point to open its plan or schedule, or choose its row in the table below."
        )
        return
    keys = [point.key for point in same_place(points, chosen)]
    found = [
        _plan_entry(key, sweep) or _baseline_entry(key, problem, sweep) for key in keys[:MOST_OPEN]
    ]
    entries = [entry for entry in found if entry is not None]
    if not entries:
        return
    plan = _plan_at(keys[0], sweep)
    if plan is not None:
        _keep(plan)
    timeline.show(timeline.document(tuple(entries), theme()), key="opened")


def _keep(plan: Plan) -> None:
    """Offer a plan of the sweep for the comparison on the Plan page."""
    known = next((kept for kept in kept_plans() if kept.plan is plan), None)
    if known is None and st.button(
        "Keep this plan",
        icon=":material/bookmark_add:",
        help="It is then among the earlier plans of the **Plan** page, for comparison and files.",
    ):
        known = keep_plan(plan)
    if known is not None:
        st.caption(
            f":material/bookmark: {known.title} on the **Plan** page: choose it there under "
            "Schedules, Earlier plans."
        )


def _plan_at(key: str, sweep: Sweep | None) -> Plan | None:
    found = sweep.plans() if sweep else []
    return next(
        (p for value, p in found if sweep and key == point_key(sweep.axis, value) and p.schedule),
        None,
    )


def _plan_entry(key: str, sweep: Sweep | None) -> Entry | None:
    plan = _plan_at(key, sweep)
    if plan is None or plan.schedule is None:
        return None
    return Entry(
        key=key,
        title=f"Plan at {key}",
        problem=plan.problem,
        schedule=plan.schedule,
        note=verdict(plan),
    )


def _baseline_entry(chosen: str, problem: Problem, sweep: Sweep | None) -> Entry | None:
    name, _, at = chosen.partition("@")
    if at and sweep is not None:
        problem = next((job.problem for v, job in sweep.jobs if number(v) == at), problem)
    if name not in baselines.choices(problem):
        return None
    found = baselines.result(name, problem)
    if isinstance(found, str):
        return None
    return Entry(
        key=chosen,
        title=found.title,
        problem=found.problem,
        schedule=found.schedule,
        note=found.reason or "fits",
    )


def _as_table(problem: Problem, axis: str, points: list[FrontierPoint]) -> None:
    """The same points as a table, for keyboards, screen readers and spreadsheets."""
    unit = unit_of(problem, problem.objective.primary)
    with st.expander("The points as a table", icon=":material/table:"):
        st.dataframe(
            pd.DataFrame(
                {
                    "schedule": [p.title for p in points],
                    AXES[axis].title: [p.limit for p in points],
                    f"{_measure(problem)} ({unit})": [p.value for p in points],
                    f"lower bound ({unit})": [p.lower_bound for p in points],
                    f"peak memory ({problem.memory_unit})": [p.peak_memory for p in points],
                    "note": [p.note for p in points],
                }
            ),
            hide_index=True,
            key="points_table",
            on_select="rerun",
            selection_mode="single-row",
            placeholder="–",
            alt="The points of the chart; choosing a row opens its schedule",
        )
