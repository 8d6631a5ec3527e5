"""Sweep the memory limit and see makespan against memory, with every expert schedule."""

from __future__ import annotations

import streamlit as st

from pages.components import baselines
from pages.components.problems import base_problem
from pages.components.settings import choose_problem
from pages.components.setup import setup, theme
from pages.components.sweep import (
    Sweep,
    baseline_points,
    default_range,
    limits_between,
    plan_points,
    running_sweep,
    start_sweep,
)
from planner_core.charts import Entry, comparison, frontier
from planner_core.charts.numbers import number
from planner_core.problem import PlannerError, Problem

MOST_LIMITS = 24

setup()


def controls(problem: Problem, key: str) -> None:
    """Range of limits and the button that starts the sweep."""
    low, high = default_range(problem)
    unit = problem.memory_unit
    first, second, third, fourth, button = st.columns(
        [2, 2, 1.6, 1.8, 1.8], vertical_alignment="bottom"
    )
    lowest = first.number_input(
        f"From ({unit})",
        min_value=0.0,
        value=low,
        format="%g",
        key=f"sweep/from/{key}",
        help="Lowest memory limit per device.",
    )
    highest = second.number_input(
        f"To ({unit})",
        min_value=0.0,
        value=high,
        format="%g",
        key=f"sweep/to/{key}",
        help="Highest memory limit per device.",
    )
    steps = int(min(MOST_LIMITS, max(2, round(high - low) + 1))) if high >= 4 else 6
    count = third.number_input(
        "Limits",
        min_value=1,
        max_value=MOST_LIMITS,
        value=min(steps, 8),
        key=f"sweep/count/{key}",
        help="How many limits are tried, in equal steps.",
    )
    seconds = fourth.number_input(
        "Time limit each (s)",
        min_value=1,
        max_value=3600,
        value=10,
        key="sweep/seconds",
        help="Wall-clock seconds per limit.",
    )
    sweep = running_sweep()
    busy = sweep is not None and sweep.running
    if busy:
        if button.button("Stop", icon=":material/stop:", width="stretch"):
            sweep.stop()
    elif button.button("Sweep", type="primary", icon=":material/play_arrow:", width="stretch"):
        try:
            limits = limits_between(lowest, highest, int(count))
            st.session_state["sweep"] = start_sweep(problem, limits, float(seconds))
        except PlannerError as error:
            st.error(f"{error}.", icon=":material/error:")
            return
        st.rerun()


def figure(problem: Problem, sweep: Sweep | None) -> None:
    """The frontier; runs by itself until the last search is over."""
    busy = sweep is not None and sweep.running

    @st.fragment(run_every=1.0 if busy else None)
    def draw() -> None:
        if sweep is not None:
            done = sum(job.finished.is_set() for _, job in sweep.jobs)
            if busy:
                st.progress(done / len(sweep.jobs), f"{done} of {len(sweep.jobs)} limits solved")
            for limit, reason in sweep.failures():
                st.warning(f"Memory limit {number(limit)}: {reason}.", icon=":material/block:")
        points = (plan_points(sweep) if sweep else []) + baseline_points(problem)
        if not points:
            st.info("No expert schedule fits this problem. Press **Sweep** for plans.")
            return
        st.plotly_chart(
            frontier(points, theme(), time_unit=problem.time_unit, memory_unit=problem.memory_unit),
            theme=None,
            key="frontier",
            on_select="rerun",
            selection_mode="points",
            config={"displaylogo": False, "toImageButtonOptions": {"scale": 2}},
        )
        opened(problem, sweep)
        if busy and not sweep.running:
            st.rerun()

    draw()


def opened(problem: Problem, sweep: Sweep | None) -> None:
    """The schedule of the point that was clicked."""
    state = st.session_state.get("frontier")
    chosen = next(
        (p["customdata"][0] for p in (state["selection"]["points"] if state else [])
         if p.get("customdata")),
        None,
    )  # fmt: skip
    if chosen is None:
        st.caption("Click a point to see its schedule. Plans stand at their memory limit.")
        return
    entry = None
    for limit, plan in sweep.plans() if sweep else []:
        if chosen == f"limit {number(limit)}" and plan.schedule is not None:
            entry = Entry(
                key=chosen,
                title=f"Plan at memory limit {number(limit)}",
                problem=plan.problem,
                schedule=plan.schedule,
            )
    if entry is None and chosen in baselines.choices(problem):
        found = baselines.result(chosen, problem)
        if not isinstance(found, str):
            entry = Entry(
                key=chosen,
                title=found.title,
                problem=found.problem,
                schedule=found.schedule,
                note=found.reason or "fits",
            )
    if entry is not None:
        st.plotly_chart(comparison([entry], theme()), theme=None, key="opened")


with st.container(border=True):
    key = choose_problem()
    problem = base_problem(key)
    controls(problem, key)
sweep = running_sweep()
if sweep is not None and sweep.base is not problem:
    sweep = None
figure(problem, sweep)
