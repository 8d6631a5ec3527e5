"""Let the planner find and prove the optimum of a small pipeline, beside the running page."""

from __future__ import annotations

import streamlit as st

from pages.components.lessons.examples import Example, timed
from pages.components.solves import queue, sound, start, verdict
from planner_core.charts.numbers import number
from planner_core.problem import Problem
from planner_core.schedule import Plan
from planner_core.search.process import SolveProcess
from planner_core.search.progress import Options

SECONDS = 5.0
"""Time limit of a search; these problems are small."""

_JOB, _JOB_OF = "tour job", "tour job of"


def proved(key: str) -> Plan | None:
    """Return the plan this session has found for a lesson's numbers."""
    return _plans().get(key)


def proof(problem: Problem, key: str) -> tuple[Example, ...]:
    """Draw the button that searches, then the verdict; return the plan once there is one."""
    plan = search(problem, key)
    if plan is None:
        return ()
    if plan.schedule is None:
        st.error(f"No plan: {plan.reason}.", icon=":material/block:")
        return ()
    found = f"found by {plan.found_by} in {plan.seconds:.1f} s"
    said = f"**Makespan {number(plan.makespan)} ms**: {verdict(plan)}"
    if plan.status == "optimal":
        st.success(f"{said}; {found}.", icon=":material/verified:")
    else:
        st.info(f"{said}; {found}.", icon=":material/flag:")
    return (timed("plan", "Plan", plan.problem, plan.schedule),)


def search(problem: Problem, key: str) -> Plan | None:
    """Draw the search for a problem until it is over; return the plan once there is one."""
    plan = proved(key)
    if plan is not None:
        return plan
    job: SolveProcess | None = st.session_state.get(_JOB)
    if job is not None and st.session_state[_JOB_OF] != key:
        job.stop()
        st.session_state[_JOB] = job = None
    if job is None:
        queue()  # its spare worker warms up while the reader looks around
        pressed = st.button(
            "Find the optimum",
            type="primary",
            icon=":material/play_arrow:",
            key="tour prove",
            help=f"Searches up to {SECONDS:g} s; the page stays usable.",
        )
        if not pressed:
            return None
        st.session_state[_JOB_OF] = key
        st.session_state[_JOB] = start(problem, Options(time_limit=SECONDS))
        st.rerun()
    _watch(job, key)
    return None


@st.fragment(run_every=0.3)
def _watch(job: SolveProcess, key: str) -> None:
    known = job.snapshot()
    if known.over:
        plan = known.plan
        if plan is None or not sound(job, plan):
            reason = known.error or "the search found nothing that keeps the rules"
            plan = Plan(problem=job.problem, status="unknown", reason=reason)
        _plans()[key] = plan
        st.session_state[_JOB] = None
        st.rerun()
    best = "" if known.incumbent is None else f", best so far {number(known.incumbent)} ms"
    bound = "" if known.lower_bound is None else f", lower bound {number(known.lower_bound)} ms"
    st.progress(min(1.0, known.elapsed / SECONDS), f"Searching{best}{bound}")


def _plans() -> dict[str, Plan]:
    return st.session_state.setdefault("tour plans", {})
