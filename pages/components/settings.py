"""The strip of controls above a plan: problem, objective, limits, micro-batches, time."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.merging import merging_fields
from pages.components.problems import (
    base_problem,
    common_memory,
    configured,
    default_key,
    facts,
    sources,
)
from pages.components.scenario import follow_link, scenario_popover, write_link
from pages.components.session_settings import MEASURE_TITLES, given_cluster, settings_of, unit_of
from pages.components.upload import upload_popover
from planner_core.problem import MEASURES, PlannerError, Problem
from planner_core.problem.micro_batches import micro_batch_range
from planner_core.problem.settings import TIME_LIMIT
from planner_core.search.progress import Options

BUDGET_HELP = {
    "makespan": "Latest time at which everything has to be done.",
    "period": "Most time per micro-batch in steady state, on the busiest device.",
    "peak_memory": "Most that any device may hold at any instant.",
    "transfer": "Most that may be moved between devices in all.",
}
"""What a budget on each measure limits."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """What the controls say."""

    problem: Problem
    options: Options
    solve: bool


def controls(running: bool) -> Chosen | None:
    """Draw the controls; None if they ask for something impossible, which they then say."""
    with st.container(border=True):
        key = choose_problem(all_settings=True)
        return _limits(key, running)


def choose_problem(*, all_settings: bool = False) -> str:
    """Draw the choice of a problem, with an upload beside it; return its key.

    Parameters
    ----------
    all_settings : bool
        Also offer budgets, merging and the scenario as a file.
    """
    follow_link()
    offered = sources()
    if st.session_state.get("problem") not in offered:
        st.session_state["problem"] = default_key()
    columns = st.columns(
        [4.4, 1.8, 1.8, 1.8] if all_settings else [5, 3], vertical_alignment="bottom"
    )
    key = columns[0].selectbox(
        "Problem",
        list(offered),
        format_func=lambda key: offered[key].title,
        key="problem",
        help="A sample, or a problem you uploaded, generated or drew.",
    )
    with columns[1]:
        upload_popover()
    if all_settings:
        with columns[2], st.popover("Budgets, merging", icon=":material/tune:", width="stretch"):
            _budgets(base_problem(key), key)
            merging_fields(base_problem(key), key)
        with columns[3]:
            scenario_popover(key)
    st.caption(f"{offered[key].teaches}  \n{facts(base_problem(key))}")
    if message := st.session_state.get("link_error"):
        st.error(message, icon=":material/link_off:")
    return key


def _limits(key: str, running: bool) -> Chosen | None:
    base = base_problem(key)
    goal, limit, batches, seconds, button = st.columns(
        [2.2, 2, 1.6, 1.6, 1.6], vertical_alignment="bottom"
    )
    goal.selectbox(
        "Objective",
        MEASURES,
        index=MEASURES.index(base.objective.primary),
        format_func=MEASURE_TITLES.__getitem__,
        key=f"objective/{key}",
        help="What the plan minimises first. Makespan: time for all micro-batches. Period: time "
        "per micro-batch in steady state. Peak memory: on the fullest device. Transfer: volume "
        "moved between devices.",
    )
    limit.number_input(
        f"Memory limit ({base.memory_unit})",
        min_value=0.0,
        value=common_memory(given_cluster(base, key)),
        placeholder="as in the problem",
        step=1.0,
        format="%g",
        key=f"memory/{key}",
        help="What each device may hold at any instant. Empty: the limits of the cluster.",
    )
    batches.number_input(
        "Micro-batches",
        min_value=1,
        max_value=100_000,
        value=micro_batch_range(base),
        key=f"micro_batches/{key}",
        help="How many micro-batches one step of training or one run is cut into.",
    )
    seconds.number_input(
        "Time limit (s)",
        min_value=1,
        max_value=3600,
        value=int(TIME_LIMIT),
        key="time_limit",
        help="Wall-clock seconds until the best plan so far is taken.",
    )
    spot = button.empty()
    pressed = _solve_button(spot, closed=running)
    write_link(key)
    if f"cluster/{key}" in st.session_state:
        st.caption(":material/dns: The cluster is the one set on the **Cluster** page.")
    try:
        settings = settings_of(key)
        problem = configured(base, settings)
    except PlannerError as error:
        st.error(_sentence(str(error)), icon=":material/error:")
        return None
    options = Options(
        time_limit=settings.time_limit, merging=settings.merging, merging_cap=settings.merging_cap
    )
    if pressed:  # in this run: another one would delay the first picture of the search
        _solve_button(spot, closed=True)
    return Chosen(problem, options, pressed)


def _solve_button(spot: DeltaGenerator, closed: bool) -> bool:
    return spot.button(
        "Solve",
        type="primary",
        width="stretch",
        disabled=closed,
        icon=":material/play_arrow:",
        key="solve_closed" if closed else "solve",
    )


def _budgets(base: Problem, key: str) -> None:
    """Further measures to minimise and limits on the rest."""
    primary = st.session_state.get(f"objective/{key}", base.objective.primary)
    others = [name for name in MEASURES if name != primary]
    same = primary == base.objective.primary
    st.multiselect(
        "Then minimise",
        others,
        default=list(base.objective.minimize[1:]) if same else [],
        format_func=MEASURE_TITLES.__getitem__,
        key=f"then/{key}/{primary}",
        placeholder="nothing else",
        help="In this order, without giving up anything of what comes before.",
    )
    st.caption("Largest value allowed of what is not minimised; empty: no limit.")
    then = st.session_state.get(f"then/{key}/{primary}", [])
    for name in others:
        title = name.replace("_", " ").capitalize()
        st.number_input(
            f"{title} budget ({unit_of(base, name)})",
            min_value=0.0,
            value=base.objective.subject_to.get(name),
            placeholder="none",
            disabled=name in then,
            format="%g",
            key=f"budget/{name}/{key}",
            help=BUDGET_HELP[name],
        )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
