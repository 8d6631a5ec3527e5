"""The strip of controls above a plan: problem, limits, objective, time."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from pages.components.problems import (
    base_problem,
    common_memory,
    default_key,
    facts,
    read_upload,
    sources,
    with_settings,
)
from planner_core.formats import UPLOAD_LIMIT
from planner_core.problem import PlannerError, Problem
from planner_core.schedule import micro_batch_count

OBJECTIVES: dict[str, str] = {"makespan": "shortest makespan", "peak_memory": "smallest memory"}
"""What the app can minimise, and how it says so."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """What the controls say."""

    problem: Problem
    time_limit: float
    solve: bool


def controls(running: bool) -> Chosen | None:
    """Draw the controls; None if they ask for something impossible, which they then say."""
    with st.container(border=True):
        key = choose_problem()
        return _limits(base_problem(key), key, running)


def choose_problem() -> str:
    """Draw the choice of a problem, with an upload beside it; return its key."""
    offered = sources()
    if st.session_state.get("problem") not in offered:
        st.session_state["problem"] = default_key()
    first, second = st.columns([5, 3], vertical_alignment="bottom")
    key = first.selectbox(
        "Problem",
        list(offered),
        format_func=lambda key: offered[key].title,
        key="problem",
        help="A sample, or a problem you uploaded or generated.",
    )
    with second, st.popover("Upload a problem", icon=":material/upload:", width="stretch"):
        _upload()
    st.caption(f"{offered[key].teaches}  \n{facts(base_problem(key))}")
    return key


def _limits(base: Problem, key: str, running: bool) -> Chosen | None:
    goal, limit, budget_column, seconds, button = st.columns(
        [2.2, 2, 2, 1.6, 1.6], vertical_alignment="bottom"
    )
    primary = base.objective.primary
    goals = list(OBJECTIVES) if primary in OBJECTIVES else [primary, *OBJECTIVES]
    minimize = goal.selectbox(
        "Objective",
        goals,
        index=goals.index(primary),
        format_func=lambda name: OBJECTIVES.get(name, f"smallest {name}"),
        key=f"objective/{key}",
        help="What the plan minimises first.",
    )
    common = common_memory(base)
    memory = limit.number_input(
        f"Memory limit ({base.memory_unit})",
        min_value=0.0,
        value=common,
        placeholder="as in the problem",
        step=1.0,
        format="%g",
        key=f"memory/{key}",
        help="What each device may hold at any instant. Empty: the limits of the problem.",
    )
    batches = micro_batch_count(base)
    budget = budget_column.number_input(
        f"Makespan budget ({base.time_unit})",
        min_value=0.0,
        value=base.objective.subject_to.get("makespan"),
        placeholder="none" if minimize != "makespan" else "only with memory",
        disabled=minimize == "makespan",
        format="%g",
        key=f"budget/{key}",
        help=f"The longest makespan allowed for all {batches} micro-batches, "
        "while memory is minimised.",
    )
    time_limit = seconds.number_input(
        "Time limit (s)",
        min_value=1,
        max_value=3600,
        value=30,
        key="time_limit",
        help="Wall-clock seconds until the best plan so far is taken.",
    )
    pressed = button.button(
        "Solve", type="primary", width="stretch", disabled=running, icon=":material/play_arrow:"
    )
    try:
        problem = with_settings(
            base,
            None if memory == common else memory,
            minimize,
            budget if minimize != "makespan" else None,
        )
    except PlannerError as error:
        st.error(_sentence(str(error)), icon=":material/error:")
        return None
    return Chosen(problem, float(time_limit), pressed)


def _upload() -> None:
    """File field; a bad file leaves everything as it was and says what is wrong."""
    st.caption(
        f"A problem file (JSON), up to {UPLOAD_LIMIT / 2**20:g} MiB. The format is told by content."
    )
    st.file_uploader(
        "Problem file",
        key="upload",
        label_visibility="collapsed",
        on_change=_take_upload,
    )
    if message := st.session_state.get("upload_error"):
        st.error(message, icon=":material/error:")


def _take_upload() -> None:
    file = st.session_state.get("upload")
    st.session_state["upload_error"] = None
    if file is None:
        return
    try:
        st.session_state["problem"] = read_upload(file.name, file.getvalue())
    except PlannerError as error:
        st.session_state["upload_error"] = f"{file.name}: {error}."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
