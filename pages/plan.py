"""Choose a problem, solve it, and see the plan beside the expert schedules."""

from __future__ import annotations

import streamlit as st

from pages.components.compare import compare
from pages.components.live import live
from pages.components.session_settings import unit_of
from pages.components.settings import controls
from pages.components.setup import setup
from pages.components.solves import Kept, plan_of, queue, start, verdict
from pages.components.take_away import take_away
from planner_core.analysis.metrics import metrics
from planner_core.charts.numbers import number, percent

setup()
queue()  # its spare worker warms up while the user looks around


def show_plan(kept: Kept) -> None:
    """Verdict and the figures that matter most."""
    plan = kept.plan
    problem = plan.problem
    if plan.schedule is None:
        st.error(f"No plan: {plan.reason}.", icon=":material/block:")
        return
    measure = problem.objective.primary
    unit = unit_of(problem, measure)
    title = measure.replace("_", " ").capitalize()
    head = f"**{title} {number(plan.value)} {unit}**, {verdict(plan)}"
    tail = f" Found by {plan.found_by} in {plan.seconds:.1f} s."
    if plan.status == "optimal":
        st.success(f"{head}.{tail}", icon=":material/verified:")
    else:
        st.info(f"{head}.{tail}", icon=":material/flag:")
    if kept.error:
        st.warning(
            f"The search broke off: {kept.error}. The best plan so far is kept.",
            icon=":material/warning:",
        )
    figures = metrics(problem, plan.schedule)
    tiles = (
        (f"{title} ({unit})", number(plan.value)),
        (f"Lower bound ({unit})", number(plan.lower_bound)),
        ("Gap", percent(plan.gap)),
        ("Idle share", percent(figures.idle_share)),
        (f"Makespan ({problem.time_unit})", number(figures.makespan))
        if measure != "makespan"
        else (f"Peak memory ({problem.memory_unit})", number(figures.peak_memory)),
    )
    for column, (label, value) in zip(st.columns(len(tiles)), tiles, strict=True):
        column.metric(label, value)


job = st.session_state.get("job")
chosen = controls(running=job is not None)
if chosen is not None and chosen.solve and job is None:
    st.session_state["failure"] = None
    job = start(chosen.problem, chosen.options)
    st.session_state["job"] = job

if job is not None:
    live(job)
    compare(job.problem, None)
elif chosen is not None:
    plan = plan_of(chosen.problem)
    failed = st.session_state.get("failure")
    if failed and failed[0] is chosen.problem and failed[1]:
        st.error(f"No plan: {failed[1]}.", icon=":material/error:")
    if plan is not None:
        show_plan(plan)
    elif not failed:
        st.caption(
            ":material/lightbulb: Press **Solve** to find a plan; below is what the expert "
            "schedules make of this problem."
        )
    shown = compare(chosen.problem, plan if plan and plan.plan.schedule else None)
    take_away(chosen.problem, plan, shown)
