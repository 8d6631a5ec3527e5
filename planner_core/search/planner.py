"""One way in, one way out: ``plan(problem, options, on_progress, cancel) -> Plan``."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np

from planner_core.baselines import expert_schedules, quick_templates
from planner_core.baselines.first_schedules import first_schedules
from planner_core.problem import Problem, check_problem
from planner_core.schedule import Plan
from planner_core.search.progress import Cancellation, OnProgress, Options
from planner_core.search.state import SearchState, new_state

LATE_OPERATORS = 5_000
"""Graphs up to this size get a list schedule even when time is up with nothing found."""


def plan(
    problem: Problem,
    options: Options | None = None,
    on_progress: OnProgress | None = None,
    cancel: Cancellation | None = None,
) -> Plan:
    """Plan a problem.

    With several measures to minimise, each is minimised under the values reached for those
    before it; value and bound of the plan are those of the first, and the status is ``optimal``
    only if every measure is proved.

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
    state.problem = _with_memory_budget(problem)
    # Before the imports: on a fresh machine those and the first compilation take seconds.
    state.enter("first schedules")
    _offer_first(state)

    from planner_core.search.compiled import prepare
    from planner_core.search.infeasible import why_infeasible
    from planner_core.search.levels import FIRST_LEVEL, search_next_levels

    prepare(state)
    reason = why_infeasible(state.problem)
    if reason is not None:
        return _infeasible(state, problem, reason)
    whole = state.clock
    if len(problem.objective.minimize) > 1:
        state.clock = whole.until(FIRST_LEVEL)
    search_measure(state)
    state.clock = whole
    if state.schedule is None and not (state.empty or state.impossible):
        state = _late(state)
    if state.schedule is not None:
        state.close()
        return replace(search_next_levels(state), problem=problem)
    if state.empty or state.impossible:
        return _infeasible(state, problem, None)
    return replace(state.plan(), problem=problem)


def _offer_first(state: SearchState) -> None:
    """Offer what needs no compiled code: a search begins with a schedule wherever it can."""
    for name, schedule in first_schedules(state.problem):
        state.offer(schedule, name)
    if state.schedule is None:  # too little memory for them; experts are made for that
        for name, schedule in chain(
            expert_schedules(state.problem), quick_templates(state.problem)
        ):
            if state.offer(schedule, name):
                return


def _late(state: SearchState) -> SearchState:
    """Look for a first schedule after the time limit: a moment late is better than with nothing."""
    from planner_core.search.makespan import offer_first

    again = SearchState(
        state.problem,
        state.measure_name,
        state.clock,
        state.cancel,
        state.on_progress,
        options=state.options,
    )
    again.bound, again.proved_by = state.bound, state.proved_by
    if state.problem.graph.n_operators <= LATE_OPERATORS and not state.cancel.is_set():
        offer_first(again)
    return again


def search_measure(state: SearchState) -> None:
    """Improve the measure of ``state`` until it is content, merged first if the options say so."""
    if state.options.merging not in ("automatic", "none"):
        from planner_core.search.large import search_merged_by

        search_merged_by(state, _search_unmerged)
    if not state.stopped():
        _search_unmerged(state)


def _search_unmerged(state: SearchState) -> None:
    if state.measure_name == "makespan":
        from planner_core.search.budgets import search_makespan_within

        search_makespan_within(state)
    elif state.measure_name == "peak_memory":
        from planner_core.search.peak_memory import search_peak_memory

        search_peak_memory(state)
    else:
        from planner_core.search.assignment import search_assignment

        search_assignment(state)


def _with_memory_budget(problem: Problem) -> Problem:
    """Turn a budget on peak memory into memory limits: the two mean the same."""
    budget = problem.objective.subject_to.get("peak_memory")
    if budget is None:
        return problem
    return problem.with_memory(np.minimum(problem.cluster.memory, budget))


def _infeasible(state: SearchState, problem: Problem, reason: str | None) -> Plan:
    """Return the plan of a problem that is proved to have no schedule, saying what would help."""
    from planner_core.search.infeasible import blame, nearest_memory

    deadline, limited = state.clock.deadline, state.problem
    budget = problem.objective.subject_to.get("makespan")
    if reason is None and state.impossible and budget is not None:
        reason = (
            f"no schedule ends by {budget:g}: the {state.proved_by} proves that every "
            f"schedule takes at least {state.bound:g}"
        )
    _tell(state, reason or f"the {state.proved_by} proves that there is no schedule")
    if reason is None:
        reason = blame(limited, deadline, state.cancel)
        _tell(state, reason)
    if np.any(np.isfinite(limited.cluster.memory)):
        enough = nearest_memory(limited, deadline, state.cancel)
        if enough is not None:
            reason += f"; with {enough:g} {problem.memory_unit} on every device it fits"
    return Plan(problem=problem, status="infeasible", reason=reason, seconds=state.clock.elapsed)


def _tell(state: SearchState, reason: str) -> None:
    """Announce what is proved before looking for what would help, which may take too long."""
    state.bound, state.proved_by = np.inf, reason
    state.enter("the nearest limit that works")
