"""One way in, one way out: ``plan(problem, options, on_progress, cancel) -> Plan``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner_core.problem import Problem, check_problem
from planner_core.schedule import Plan
from planner_core.search.progress import Cancellation, OnProgress, Options
from planner_core.search.state import SearchState, new_state


def plan(
    problem: Problem,
    options: Options | None = None,
    on_progress: OnProgress | None = None,
    cancel: Cancellation | None = None,
) -> Plan:
    """Plan a problem.

    Parameters
    ----------
    problem : Problem
    options : Options, optional
    on_progress : callable, optional
        Called with every :class:`Progress` event, from the searching threads.
    cancel : threading.Event, optional
        Set it to stop; the best plan so far is returned.

    Returns
    -------
    Plan
        ``optimal`` with a proof, ``feasible``, ``infeasible`` (proved, with the reason), or
        ``unknown`` if the time ran out with nothing found. Its schedule has passed the
        validator.

    Raises
    ------
    InputError
        If the problem is not sound.
    """
    check_problem(problem)
    state = new_state(problem, options or Options(), on_progress, cancel)
    effective = _with_memory_budget(problem)
    reason = _why_infeasible(effective)
    if reason is not None:
        return Plan(
            problem=problem, status="infeasible", reason=reason, seconds=state.clock.elapsed
        )
    search = _SEARCHES[problem.objective.primary]
    state.problem = effective
    search(state)
    found = replace(state.plan(), problem=problem)
    if found.schedule is None and np.isinf(state.bound) and not np.isfinite(state.target):
        return replace(
            found,
            status="infeasible",
            reason="every placement and order was tried, and none keeps the memory limits and "
            "the links; raise a memory limit, add a link or allow more devices",
        )
    budget = problem.objective.subject_to.get("makespan")
    if found.schedule is None and state.impossible and budget is not None:
        return replace(
            found,
            status="infeasible",
            reason=f"no schedule ends by {budget:g}: the {state.proved_by} proves that every "
            f"schedule takes at least {state.bound:g}",
        )
    return found


def _with_memory_budget(problem: Problem) -> Problem:
    """Turn a budget on peak memory into memory limits: the two mean the same."""
    budget = problem.objective.subject_to.get("peak_memory")
    if budget is None:
        return problem
    return problem.with_memory(np.minimum(problem.cluster.memory, budget))


def _why_infeasible(problem: Problem) -> str | None:
    from planner_core.bounds import memory_infeasible

    return memory_infeasible(problem)


def _makespan(state: SearchState) -> None:
    from planner_core.search.makespan import search_makespan

    search_makespan(state)


def _peak_memory(state: SearchState) -> None:
    from planner_core.search.peak_memory import search_peak_memory

    search_peak_memory(state)


_SEARCHES = {"makespan": _makespan, "peak_memory": _peak_memory}
