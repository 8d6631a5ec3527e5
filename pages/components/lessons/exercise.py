"""Draw the exercise: buttons for what comes next, the schedule so far, the comparison."""

from __future__ import annotations

import streamlit as st

from pages.components.lessons.examples import LETTERS, Example, example, short_name, timed
from pages.components.lessons.hand_order import following, refusal, timed_so_far
from pages.components.lessons.model import same
from pages.components.lessons.player import player
from pages.components.lessons.proof import search
from pages.components.setup import theme
from planner_core.charts import Entry, comparison
from planner_core.charts.numbers import number
from planner_core.problem import Problem
from planner_core.schedule import Plan, Schedule, validate


def exercise(problem: Problem, key: str) -> bool:
    """Draw the exercise for a problem; return whether the reader's order is optimal.

    ``key`` names the numbers the problem was made from; each has an order of its own.
    """
    orders: dict[str, list[int]] = st.session_state.setdefault("tour orders", {})
    placed = orders.setdefault(key, [])
    total = problem.graph.n_operators
    _choices(problem, placed)
    refused = st.session_state.pop("tour refused", None)
    if refused:
        st.warning(f"Not possible: {refused}.", icon=":material/block:")
    st.progress(len(placed) / total, f"{len(placed)} of {total} operators placed")
    if not placed:
        st.caption("Nothing is placed yet. Micro-batch 0 has to start somewhere: try F 0 on gpu0.")
        return False
    part, schedule = timed_so_far(problem, placed)
    if len(placed) < total:
        _so_far(part, schedule, problem)
        return False
    broken = validate(problem, schedule)
    if broken:
        st.error(f"This order breaks a rule: {broken[0].message}.", icon=":material/error:")
        return False
    return _compared(problem, timed("own", "Your order", problem, schedule), key, placed)


def _choices(problem: Problem, placed: list[int]) -> None:
    for k, device in enumerate(problem.cluster.device_ids):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{device}** next:", width=110)
            for kind, operator in following(problem, placed, k).items():
                label = LETTERS[kind] if operator is None else short_name(problem, operator)
                st.button(
                    label,
                    key=f"tour place {device} {kind}",
                    disabled=operator is None,
                    on_click=_place,
                    args=(problem, placed, operator),
                    width=90,
                )
    with st.container(horizontal=True):
        st.button(
            "Undo",
            icon=":material/undo:",
            on_click=_undo,
            args=(placed,),
            disabled=not placed,
            key="tour undo",
        )
        st.button(
            "Start over",
            icon=":material/restart_alt:",
            on_click=placed.clear,
            disabled=not placed,
            key="tour restart",
        )


def _place(problem: Problem, placed: list[int], operator: int) -> None:
    reason = refusal(problem, placed, operator)
    if reason is None:
        placed.append(operator)
    else:
        st.session_state["tour refused"] = reason


def _undo(placed: list[int]) -> None:
    placed.pop()


def _so_far(part: Problem, schedule: Schedule, problem: Problem) -> None:
    """Draw what is placed on an axis that does not jump with every operator."""
    entry = Entry(key="own", title="Your order so far", problem=part, schedule=schedule)
    figure = comparison([entry], theme())
    reference = example("1f1b", problem)
    longest = max(reference.metrics.makespan, schedule.makespan)
    figure.update_xaxes(range=[0, longest * 1.004])
    st.plotly_chart(figure, theme=None, key="tour so far", config={"displayModeBar": False})


def _compared(problem: Problem, own: Example, key: str, placed: list[int]) -> bool:
    reference = example("1f1b", problem)
    plan = search(problem, key)
    shown, notes = [own], [""]
    if plan is not None and plan.schedule is not None:
        shown.append(timed("plan", "Plan", problem, plan.schedule))
        notes.append(plan.status)
    shown.append(reference)
    over = max(reference.peaks) > problem.cluster.memory.min()
    notes.append(f"does not fit: holds {number(max(reference.peaks))} activations" if over else "")
    solved = _verdict(own, plan)
    player(shown, f"{key} {placed} {len(shown)}", note=notes)
    return solved


def _verdict(own: Example, plan: Plan | None) -> bool:
    mine = own.metrics.makespan
    if plan is None:
        st.info(
            f"Complete: your order takes **{number(mine)} ms**. Press **Find the optimum** to see "
            "what is possible.",
            icon=":material/flag:",
        )
        return False
    if plan.value is None or plan.lower_bound is None:
        st.error(f"No plan: {plan.reason}.", icon=":material/block:")
        return False
    if same(mine, plan.lower_bound) or mine < plan.lower_bound:
        st.success(
            f"Your order takes **{number(mine)} ms**, and no order can be shorter: that is proved "
            f"by the {plan.proved_by}. You have found an optimal schedule.",
            icon=":material/verified:",
        )
        return True
    best = "proved optimal" if plan.status == "optimal" else "not yet proved optimal"
    st.info(
        f"Your order takes **{number(mine)} ms**; the plan takes **{number(plan.value)} ms**, "
        f"{best} (lower bound {number(plan.lower_bound)} ms). Undo and look for gaps: "
        "start I as early as you can and put W where a device would wait.",
        icon=":material/lightbulb:",
    )
    return False
