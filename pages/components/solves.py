"""Searches of this session: start, watch, keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from planner_core.charts.numbers import number, percent
from planner_core.problem import Problem
from planner_core.schedule import Plan, validate
from planner_core.search.process import SolveProcess
from planner_core.search.progress import Options
from planner_core.search.queue import SolveQueue


@dataclass(frozen=True, eq=False)
class Kept:
    """A finished search: the plan and its convergence."""

    title: str
    plan: Plan
    history: list[tuple[float, float | None, float | None]]
    error: str | None


@st.cache_resource(show_spinner=False)
def queue() -> SolveQueue:
    """Return the one queue of this server; its spare worker warms up at once."""
    return SolveQueue()


def start(problem: Problem, options: Options, purpose: str = "plan") -> SolveProcess:
    """Queue a search of this session; it ends when the tab is closed.

    Searches of different sessions or purposes take turns, so that neither somebody else nor
    **Solve** waits for a whole sweep.
    """
    session, present = _presence()
    return queue().submit(problem, options, present, (session, purpose))


def waiting_words(job: SolveProcess) -> str:
    """What a search that waits for a core says; "" if it does not wait."""
    place = queue().place(job)
    return f"Waiting for a free core: number {place} in line, users take turns" if place else ""


def keep(job: SolveProcess) -> None:
    """Put the result of a finished search with the session's plans."""
    known = job.snapshot()
    if known.plan is None:
        st.session_state["failure"] = (job.problem, known.error)
    elif not sound(job, known.plan):
        st.session_state["failure"] = (
            job.problem,
            "the plan breaks a rule of the problem and is not shown: please report this",
        )
    else:
        keep_plan(known.plan, known.history, known.error)


def keep_plan(
    plan: Plan,
    history: Sequence[tuple[float, float | None, float | None]] = (),
    error: str | None = None,
) -> Kept:
    """Put a plan with the session's plans, under the next number."""
    plans: list[Kept] = st.session_state.setdefault("plans", [])
    plans.append(Kept(f"Plan {len(plans) + 1}", plan, list(history), error))
    return plans[-1]


def verdict(plan: Plan) -> str:
    """One line on how good a plan is proved to be."""
    if plan.status == "optimal":
        return f"optimal, proved by the {plan.proved_by}" if plan.proved_by else "optimal"
    if plan.lower_bound and plan.value is not None:
        above = percent(plan.value / plan.lower_bound - 1)
        return (
            f"feasible; at most {above} above the optimum "
            f"(lower bound {number(plan.lower_bound)}, by the {plan.proved_by})"
        )
    return "feasible"


def sound(job: SolveProcess, plan: Plan) -> bool:
    """Whether a plan's schedule, if it has one, passes the validator here as well."""
    return plan.schedule is None or not validate(job.problem, plan.schedule)


def kept_plans() -> list[Kept]:
    """Plans this session found, the oldest first."""
    return st.session_state.get("plans", [])


def plan_of(problem: Problem) -> Kept | None:
    """Return the latest plan of exactly this problem."""
    return next((kept for kept in reversed(kept_plans()) if kept.plan.problem is problem), None)


def _presence() -> tuple[str, Callable[[], bool]]:
    """The session's id, and whether its tab is still open."""
    context = get_script_run_ctx()
    session = context.session_id if context else ""
    runtime = get_instance() if context else None

    def present() -> bool:
        return runtime is None or runtime.is_active_session(session)

    return session, present
