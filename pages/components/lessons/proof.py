"""Let the planner find and prove the optimum of a small pipeline, beside the running page."""

from __future__ import annotations

import streamlit as st

from pages.components.compare import verdict
from pages.components.lessons.examples import Example, timed
from pages.components.lessons.player import player
from pages.components.solves import Kept, sound, start
from planner_core.charts.numbers import number
from planner_core.problem import Problem
from planner_core.schedule import Plan
from planner_core.search.process import SolveProcess
from planner_core.search.progress import Options

SECONDS = 5.0
"""Time limit of a search; these problems are small."""

_JOB = "tour job"


def proved(problem: Problem) -> Plan | None:
    """Return the plan this session has found for a problem."""
    return _plans().get(problem)


def proof(problem: Problem, key: str) -> None:
    """Draw the button that searches, then the plan, its proof and its schedule."""
    plan = search(problem, key)
    if plan is None:
        return
    if plan.schedule is None:
        st.error(f"No plan: {plan.reason}.", icon=":material/block:")
        return
    found = f"found by {plan.found_by} in {plan.seconds:.1f} s"
    said = f"**Makespan {number(plan.makespan)} ms**: {verdict(Kept('Plan', plan, [], None))}"
    if plan.status == "optimal":
        st.success(f"{said}; {found}.", icon=":material/verified:")
    else:
        st.info(f"{said}; {found}.", icon=":material/flag:")
    player([_example(plan)], f"plan {key} {id(problem)}")


def search(problem: Problem, key: str) -> Plan | None:
    """Draw the search for a problem until it is over; return the plan once there is one."""
    plan = proved(problem)
    if plan is not None:
        return plan
    job: SolveProcess | None = st.session_state.get(_JOB)
    if job is not None and job.problem is not problem:
        job.stop()
        st.session_state[_JOB] = job = None
    if job is None:
        pressed = st.button(
            "Find the optimum",
            type="primary",
            icon=":material/play_arrow:",
            key=f"tour prove {key}",
            help=f"Searches up to {SECONDS:g} s; the page stays usable.",
        )
        if not pressed:
            return None
        st.session_state[_JOB] = start(problem, Options(time_limit=SECONDS))
        st.rerun()
    _watch(job)
    return None


@st.fragment(run_every=0.3)
def _watch(job: SolveProcess) -> None:
    known = job.snapshot()
    if known.over:
        plan = known.plan
        if plan is None or not sound(job, plan):
            reason = known.error or "the search found nothing that keeps the rules"
            plan = Plan(problem=job.problem, status="unknown", reason=reason)
        _plans()[job.problem] = plan
        st.session_state[_JOB] = None
        st.rerun()
    best = "" if known.incumbent is None else f", best so far {number(known.incumbent)} ms"
    bound = "" if known.lower_bound is None else f", lower bound {number(known.lower_bound)} ms"
    st.progress(min(1.0, known.elapsed / SECONDS), f"Searching{best}{bound}")


def _plans() -> dict[Problem, Plan]:
    return st.session_state.setdefault("tour plans", {})


def _example(plan: Plan) -> Example:
    assert plan.schedule is not None
    return timed("plan", "Plan", plan.problem, plan.schedule)
