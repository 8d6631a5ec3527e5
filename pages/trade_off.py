"""Sweep a limit or a setting and see what it does to the objective, beside expert schedules."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.components import baselines, timeline
from pages.components.merging import chosen_merging
from pages.components.problems import base_problem, configured
from pages.components.session_settings import MEASURE_TITLES, settings_of, unit_of
from pages.components.settings import choose_problem
from pages.components.setup import setup, theme
from pages.components.solves import keep_plan, kept_plans, verdict
from pages.components.sweep import (
    AXES,
    Sweep,
    baseline_points,
    chosen_point,
    plan_points,
    point_key,
    running_sweep,
    start_sweep,
    swept_baselines,
    values_between,
)
from planner_core.charts import Entry, FrontierPoint, frontier
from planner_core.charts.frontier import same_place
from planner_core.charts.numbers import number
from planner_core.problem import PlannerError, Problem
from planner_core.schedule import Plan
from planner_core.search.progress import Options

MOST_VALUES = 24

MOST_OPEN = 4
"""Schedules opened by one click; more may stand at one place."""

setup()


def chosen_problem(key: str) -> Problem:
    """The problem with what is set for it on the other pages; as given if that is impossible."""
    try:
        return configured(base_problem(key), settings_of(key))
    except PlannerError as error:
        st.warning(f"The settings are left out: {error}.", icon=":material/tune:")
        return base_problem(key)


def controls(problem: Problem, key: str) -> tuple[str, Options]:
    """Draw the setting, its range and the button that starts the sweep.

    Returns
    -------
    str, Options
        The setting, and how each plan is searched for.
    """
    offered = [name for name, axis in AXES.items() if axis.possible(problem)]
    if st.session_state.get(f"sweep/axis/{key}") not in offered:
        st.session_state.pop(f"sweep/axis/{key}", None)  # another objective, another cluster
    zeroth, first, second, third, fourth, button = st.columns(
        [2, 1.8, 1.8, 1.3, 1.7, 1.7], vertical_alignment="bottom"
    )
    name = zeroth.selectbox(
        "Setting",
        offered,
        format_func=lambda name: AXES[name].title,
        key=f"sweep/axis/{key}",
        help="What changes from plan to plan. Devices: only for pipelines of like stages; "
        "micro-batches: only if they do not depend on each other; memory limit: unless peak "
        "memory is what is minimised.",
    )
    axis = AXES[name]
    low, high = axis.span(problem)
    unit = {"memory": problem.memory_unit, "transfer_time": problem.time_unit}.get(name)
    suffix = f" ({unit})" if unit else ""
    lowest = first.number_input(
        f"From{suffix}",
        min_value=1.0 if axis.whole else 0.0,
        value=low,
        format="%g",
        key=f"sweep/from/{name}/{key}",
        help=f"Lowest {axis.title}.",
    )
    highest = second.number_input(
        f"To{suffix}",
        min_value=1.0 if axis.whole else 0.0,
        value=high,
        format="%g",
        key=f"sweep/to/{name}/{key}",
        help=f"Highest {axis.title}.",
    )
    steps = int(min(MOST_VALUES, max(2, round(high - low) + 1))) if high >= 4 else 6
    count = third.number_input(
        "Values",
        min_value=1,
        max_value=MOST_VALUES,
        value=min(steps, 8),
        key=f"sweep/count/{name}/{key}",
        help="How many values are tried, in equal steps.",
    )
    seconds = fourth.number_input(
        "Time limit each (s)",
        min_value=1,
        max_value=3600,
        value=10,
        key="sweep/seconds",
        help="Wall-clock seconds per value.",
    )
    merging, cap = chosen_merging(key)
    options = Options(time_limit=float(seconds), merging=merging, merging_cap=cap)
    sweep = running_sweep()
    slot = button.empty()  # one button at a time, also while the page is drawn anew
    if sweep is not None and sweep.running:
        if slot.button("Stop", icon=":material/stop:", width="stretch"):
            sweep.stop()
            st.rerun()  # at once over, if all of it waits for others
    elif slot.button("Sweep", type="primary", icon=":material/play_arrow:", width="stretch"):
        try:
            values = values_between(lowest, highest, int(count), axis.whole)
            st.session_state["sweep"] = start_sweep(problem, name, values, options)
        except PlannerError as error:
            st.error(f"{str(error)[:1].upper()}{str(error)[1:]}.", icon=":material/error:")
            return name, options
        st.rerun()
    st.caption(f":material/tune: As set on the **Plan** page: {_goal(problem, options)}.")
    return name, options


def _goal(problem: Problem, options: Options) -> str:
    """What every plan of a sweep minimises, under which budgets and merging."""
    objective = problem.objective
    goal = ", then ".join(MEASURE_TITLES[name] for name in objective.minimize)
    budgets = [
        f"{name.replace('_', ' ')} at most {number(value)} {unit_of(problem, name)}"
        for name, value in objective.subject_to.items()
    ]
    cap = options.merging_cap
    held = "" if cap is None else f" up to {number(cap)} {problem.time_unit}"
    return "; ".join([goal, *budgets, f"merging {options.merging}{held}"])


def figure(problem: Problem, axis: str, sweep: Sweep | None) -> None:
    """The frontier; runs by itself until the last search is over."""
    busy = sweep is not None and sweep.running

    @st.fragment(run_every=1.0 if busy else None)
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
        points = plan_points(sweep) if sweep else []
        if axis == "memory":
            points += baseline_points(problem)
        elif sweep is not None:
            points += swept_baselines(sweep)
        if not points:
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
        opened(problem, sweep, points)
        as_table(problem, axis, points)
        if busy and not sweep.running:
            st.rerun()

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


def opened(problem: Problem, sweep: Sweep | None, points: list[FrontierPoint]) -> None:
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


def as_table(problem: Problem, axis: str, points: list[FrontierPoint]) -> None:
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


with st.container(border=True):
    key = choose_problem()
    problem = chosen_problem(key)
    axis, options = controls(problem, key)
sweep = running_sweep()
if sweep is not None and not sweep.is_of(problem, axis, options):
    sweep = None
figure(problem, axis, sweep)
