"""What a sweep is asked for: the setting, its range, the time, and the button."""

from __future__ import annotations

import streamlit as st

from pages.components.merging import chosen_merging
from pages.components.problems import base_problem, configured
from pages.components.session_settings import MEASURE_TITLES, settings_of, unit_of
from pages.components.sweep import AXES, running_sweep, start_sweep, values_between
from planner_core.charts.numbers import number
from planner_core.problem import PlannerError, Problem
from planner_core.search.progress import Options

MOST_VALUES = 24
"""Values of one sweep, at most."""


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
