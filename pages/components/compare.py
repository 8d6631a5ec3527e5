"""Plan and expert schedules under each other: charts, operator details, table, idle causes."""

from __future__ import annotations

import re

import numpy as np
import streamlit as st

from pages.components import baselines, timeline
from pages.components.figures import figures_table, operators_table, why_idle
from pages.components.problems import common_memory
from pages.components.setup import theme
from pages.components.shown import Shown
from pages.components.solves import Kept, kept_plans, verdict
from planner_core.analysis.critical_path import (
    critical_path,
    slack,
    waited_for_by,
    waits_for,
)
from planner_core.analysis.table import Compared
from planner_core.charts import Entry
from planner_core.charts.gantt import COLOURINGS
from planner_core.charts.numbers import number
from planner_core.problem import Problem
from planner_core.problem.graph import FloatArray
from planner_core.schedule import micro_batch_count, validate

NO_MICRO_BATCH = "all"

_TIMELINE = "timeline"

_HINT = (
    "Each cell is one operator with its micro-batch or name. Point at one for what it waits for, "
    "click it for its critical path; drag to pan, Ctrl + wheel or + and − to zoom."
)


def compare(problem: Problem, plan: Kept | None) -> list[Shown]:
    """Draw the comparison for a problem; return what it shows, the plan first."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader("Comparison", anchor=False)
        st.space("stretch")
        names, pair, earlier = _choose(problem, plan)
    shown = _shown(problem, plan, names, pair, earlier)
    if not shown:
        st.info(
            "No expert schedule is chosen, or none applies to this problem (**Schedules** says "
            "why). Press **Solve** for a plan.",
            icon=":material/info:",
        )
        return []
    _charts(shown)
    figures_table(shown)
    why_idle(shown)
    operators_table(shown)
    return shown


def _choose(problem: Problem, plan: Kept | None) -> tuple[list[str], float | None, list[Kept]]:
    choices = baselines.choices(problem)
    chosen: list[str] = st.session_state.setdefault(
        f"baselines/{problem.name}", baselines.defaults(problem)
    )
    # What was chosen stays chosen when a setting changes, also where it no longer applies.
    offered = [name for name, (_, reason) in choices.items() if not reason or name in chosen]
    with st.popover("Schedules", icon=":material/checklist:"):
        names = st.multiselect(
            "Expert schedules",
            offered,
            format_func=lambda name: choices[name][0],
            key=f"baselines/{problem.name}",
            help="Each is timed with this problem's durations and transfer times.",
        )
        pair = None
        if any(name in ("dualpipe", "dualpipev") for name in names):
            pair = st.number_input(
                f"Overlapped pair F&B ({problem.time_unit})",
                min_value=0.0,
                value=None,
                placeholder="F + B",
                format="%g",
                key=f"pair/{problem.name}",
                help="Time of one DualPipe block that runs a forward and a backward at once. "
                "Empty: the sum of its parts. Less than F + B stands for overlap that is outside "
                "the problem model.",
            )
        others = [
            kept
            for kept in kept_plans()
            if kept is not plan
            and kept.plan.schedule is not None
            and kept.plan.problem.name == problem.name
        ]
        kept_key = f"earlier/{problem.name}"
        before = st.session_state.get(kept_key, [])
        st.session_state[kept_key] = [kept for kept in others if kept in before]
        earlier = st.multiselect(
            "Earlier plans",
            others,
            format_func=_plan_title,
            disabled=not others,
            placeholder="choose" if others else "none yet: solve with other settings",
            key=kept_key,
            help="Plans this session found for the same graph, also with other settings.",
        )
        reasons = baselines.reasons(problem)
        refused = [f"{choices[name][0]}: {reason}" for name, reason in reasons.items()]
        if refused:
            st.caption("Not for this problem:  \n" + "  \n".join(refused))
    return names, pair or None, earlier


def _plan_title(kept: Kept) -> str:
    makespan = f"{number(kept.plan.makespan)} {kept.plan.problem.time_unit}"
    return f"{kept.title}: makespan {makespan}, {_settings_words(kept.plan.problem)}"


def _settings_words(problem: Problem) -> str:
    """What tells plans of one graph apart."""
    limit = common_memory(problem)
    memory = "own memory limits" if limit is None else f"memory {number(limit)}"
    count = micro_batch_count(problem)
    batches = f", {count} micro-batches" if count > 1 else ""
    return f"{memory} {problem.memory_unit if limit else ''}".strip() + batches


def _shown(
    problem: Problem,
    plan: Kept | None,
    names: list[str],
    pair: float | None,
    earlier: list[Kept],
) -> list[Shown]:
    shown = [_plan_shown(plan)] if plan else []
    shown += [_plan_shown(kept, f"with {_settings_words(kept.plan.problem)}") for kept in earlier]
    makespan_bound = None
    if plan is not None and problem.objective.primary == "makespan":
        makespan_bound = plan.plan.lower_bound
    choices = baselines.choices(problem)
    left_out = [f"{choices[name][0]} ({choices[name][1]})" for name in names if choices[name][1]]
    if left_out:
        st.caption(f":material/block: Not with these settings: {plain('; '.join(left_out))}.")
    for name in names:
        if choices[name][1]:
            continue
        found = baselines.result(name, problem, pair)
        if isinstance(found, str):
            st.warning(f"{choices[name][0]}: {plain(found)}", icon=":material/block:")
            continue
        wrong = [
            violation
            for violation in validate(found.problem, found.schedule, allow_overlapped=True)
            if violation.rule != "memory"
        ]
        if wrong:
            st.warning(f"{found.title} breaks a rule: {wrong[0]}", icon=":material/block:")
            continue
        note = "fits" if found.fits else f"does not fit: {found.reason}"
        bound = None if found.own_placement or len(found.schedule.overlapped) else makespan_bound
        if not found.fits and found.over_memory:
            bound = None
        shown.append(
            Shown(
                Entry(
                    key=name,
                    title=found.title,
                    problem=found.problem,
                    schedule=found.schedule,
                    note=note,
                ),
                Compared(
                    title=found.title,
                    problem=found.problem,
                    schedule=found.schedule,
                    lower_bound=bound,
                    fits=found.fits,
                    note=found.reason or "",
                ),
            )
        )
    return shown


def _plan_shown(kept: Kept, settings: str = "") -> Shown:
    plan = kept.plan
    assert plan.schedule is not None
    proof = f"{settings}: {verdict(kept.plan)}" if settings else verdict(kept.plan)
    bound = plan.lower_bound if plan.problem.objective.primary == "makespan" else None
    return Shown(
        Entry(
            key=kept.title,
            title=kept.title,
            problem=plan.problem,
            schedule=plan.schedule,
            note=proof,
        ),
        Compared(
            title=kept.title,
            problem=plan.problem,
            schedule=plan.schedule,
            lower_bound=bound,
            note=proof,
        ),
    )


@st.fragment
def _charts(shown: list[Shown]) -> None:
    entries = [item.entry for item in shown]
    batches = sorted({b for e in entries for b in np.unique(e.problem.graph.micro_batch).tolist()})
    batches = [b for b in batches if b >= 0]
    colourings = [name for name in COLOURINGS if _can_colour(name, entries)]
    if st.session_state.get("colour_by", "kind") not in colourings:
        del st.session_state["colour_by"]  # chosen for another graph, which has it
    with st.container(horizontal=True, vertical_alignment="bottom"):
        colour_by = None
        if len(colourings) > 1:
            colour_by = st.segmented_control(
                "Colour by",
                colourings,
                default="kind",
                key="colour_by",
                required=True,
                help="Kind: forward and backward parts; stage: the model from first to last; "
                "micro-batch: the batch from first to last.",
            )
        one = st.selectbox(
            "Micro-batch",
            [NO_MICRO_BATCH, *batches],
            key="one_micro_batch",
            width=150,
            help="Fades all others.",
            disabled=not batches,
        )
        zoom = st.toggle(
            "Zoom to it",
            key="zoom_micro_batch",
            disabled=one == NO_MICRO_BATCH,
            help="Shows the time from the chosen micro-batch's first start to its last finish.",
        )
        memory = st.toggle(
            "Memory",
            value=True,
            key="show_memory",
            help="Draws what every device holds over time, and its limit.",
        )
        path = st.toggle(
            "Critical path",
            key="show_path",
            help="Outlines the chain of operators that makes the first schedule as long as it is. "
            "A click on an operator shows the chain through it.",
        )
    window = _micro_batch_window(entries, int(one)) if zoom and one != NO_MICRO_BATCH else None
    picked = timeline.picked(_TIMELINE, entries)
    highlight = None
    if picked or path:
        entry, operator = picked or (entries[0], None)
        highlight = (entry.key, tuple(critical_path(entry.problem, entry.schedule, operator)))
    st.caption(_details(picked) if picked else _HINT)
    if highlight:
        st.caption(_path_words(entry, list(highlight[1])))
    timeline.show(
        timeline.document(
            tuple(entries),
            theme(),
            colour_by or "kind",
            memory,
            highlight,
            picked[1] if picked else None,
            None if one == NO_MICRO_BATCH else int(one),
            window,
        ),
        key=_TIMELINE,
    )


def _can_colour(colouring: str, entries: list[Entry]) -> bool:
    """Whether any operator shown has what a colouring tells apart."""
    if colouring == "kind":
        return True
    column = colouring.replace("-", "_")
    return any(bool(np.any(getattr(e.problem.graph, column) >= 0)) for e in entries)


def _micro_batch_window(entries: list[Entry], batch: int) -> tuple[float, float] | None:
    """First start and last finish of a micro-batch, over all schedules that have it."""
    starts, ends = [], []
    for entry in entries:
        members = entry.problem.graph.micro_batch == batch
        if members.any():
            starts.append(float(entry.schedule.start[members].min()))
            ends.append(float(entry.schedule.finish[members].max()))
    return (min(starts), max(ends)) if starts else None


def _details(picked: tuple[Entry, int]) -> str:
    entry, o = picked
    graph, schedule = entry.problem.graph, entry.schedule
    unit = entry.problem.time_unit

    def named(operators: list[int], word: str, when: FloatArray) -> str:
        names = [
            f"{plain(graph.operator_ids[i])} ({word} {number(float(when[i]))})"
            for i in operators[:4]
        ]
        more = f" and {len(operators) - 4} more" if len(operators) > 4 else ""
        return ", ".join(names) + more if names else "nothing"

    before = named(waits_for(entry.problem, schedule, o), "ends", schedule.finish)
    after = named(waited_for_by(entry.problem, schedule, o), "starts", schedule.start)
    device = entry.problem.cluster.device_ids[schedule.device[o]]
    return (
        f"**{plain(entry.title)}, {plain(graph.operator_ids[o])}** on {plain(device)}, "
        f"{number(float(schedule.start[o]))} → {number(float(schedule.finish[o]))} {unit}. "
        f"Waits for {before}. Waited for by {after}."
    )


def _path_words(entry: Entry, path: list[int]) -> str:
    schedule, unit = entry.schedule, entry.problem.time_unit
    unused = slack(entry.problem, schedule, path)
    waits = f"{number(unused)} {unit} in which nothing on it runs" if unused else "no slack"
    return (
        f"Outlined in {plain(entry.title)}: a critical path of {len(path):,} operators, "
        f"{number(float(schedule.start[path[0]]))} → {number(float(schedule.finish[path[-1]]))} "
        f"{unit}, with {waits}."
    )


def plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([\\`*_\[\]$:~<])", r"\\\1", text)
