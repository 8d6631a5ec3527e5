"""Smallest peak memory, under a makespan budget if one is given.

Each question is "is there a schedule by the budget in this much memory?", which is a makespan
search with a target; a bound above the budget answers "no" and proves that more is needed.
The questions bisect between the best bound and the best plan.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from planner_core.bounds import memory_infeasible, peak_memory_bound
from planner_core.problem import Objective, Problem
from planner_core.schedule.lattice import common_step
from planner_core.search.budgets import search_makespan_within
from planner_core.search.progress import Progress
from planner_core.search.state import Clock, SearchState

RELATIVE_STEP = 1e-3
"""Where memory comes in no common step, limits closer than this share are not told apart."""

SHORTEST_ROUND = 0.5
"""Seconds; limits that had no answer within less of it have none to give."""


def search_peak_memory(state: SearchState) -> None:
    """Improve the peak memory of ``state`` until it is content."""
    problem = state.problem
    budget = float(problem.objective.subject_to.get("makespan", np.inf))
    state.enter("bounds")
    bound = peak_memory_bound(problem)
    if np.isfinite(bound.value):
        state.raise_bound(bound.value, bound.name)
    step = memory_step(problem)
    # First without a limit of its own: any schedule within the budget is an incumbent.
    first = _ask(state, float(problem.cluster.memory.max()), budget, share=0.4)
    if first is None or first.impossible:
        if first is not None:  # not even all of the memory is enough for the budget
            state.target, state.bound, state.proved_by = budget, first.bound, first.proved_by
        return
    if first.empty:
        state.raise_bound(np.inf, first.proved_by or "exhaustive search")
        return
    unanswered: set[float] = set()
    round_began = time.monotonic()
    while not state.stopped() and state.schedule is not None:
        low, high = state.bound, state.value
        limit = _next_limit(low, high, step, unanswered)
        if limit is None:
            if not unanswered or time.monotonic() - round_began < SHORTEST_ROUND:
                return
            # Time is left: what had no answer in its share is asked again, from below.
            unanswered, round_began = set(), time.monotonic()
            continue
        asked = _ask(state, limit, budget, share=0.3)
        if asked is None or asked.impossible or asked.empty:
            state.raise_bound(_above(limit, step), "makespan bound under this memory")
        elif state.value > limit:
            unanswered.add(limit)


def memory_step(problem: Problem) -> float | None:
    """Common step of everything that takes memory, or None."""
    graph = problem.graph
    return common_step(np.concatenate([graph.size, graph.workspace, graph.group_size]))


def _above(limit: float, step: float | None) -> float:
    """Smallest peak that is more than a limit that was proved too small."""
    if step is None:
        return limit
    return (math.floor(limit / step + 1e-9) + 1) * step


def _next_limit(
    low: float, high: float, step: float | None, unanswered: set[float]
) -> float | None:
    """A limit below the incumbent that was not asked in vain: the bound first, then bisecting."""
    unit = step if step is not None else max(high * RELATIVE_STEP, 1e-12)
    first = math.ceil(low / unit - 1e-9)
    last = math.ceil(high / unit - 1e-9) - 1
    floor = max((math.floor(u / unit + 1e-9) for u in unanswered), default=first - 1)
    if first > last or floor >= last:
        return None
    place = first if not unanswered else (floor + last + 1) // 2
    return float(max(place * unit, low))


def _ask(state: SearchState, limit: float, budget: float, share: float) -> SearchState | None:
    """Search a schedule by the budget in ``limit`` memory; None if that is too little, proved."""
    limited = state.problem.with_memory(np.minimum(state.problem.cluster.memory, limit))
    # The budget is the target here; as a rule it would refuse every start that is to be improved.
    others = {k: v for k, v in limited.objective.subject_to.items() if k != "makespan"}
    problem = replace(limited, objective=Objective(("makespan",), others))
    if memory_infeasible(problem) is not None:
        return None
    now = time.monotonic()
    clock = Clock(now, min(state.clock.deadline, now + max(2.0, share * state.clock.remaining)))

    def relay(event: Progress) -> None:
        if event.schedule is not None and event.schedule.makespan <= budget * (1 + 1e-12):
            state.offer(event.schedule, event.found_by or "search")
        state.enter(f"memory {limit:g}: {event.phase}", event.model_size)

    inner = SearchState(
        problem, "makespan", clock, state.cancel, relay, target=budget, options=state.options
    )
    search_makespan_within(inner)
    if inner.schedule is not None:
        state.offer(inner.schedule, inner.found_by or "search")
    return inner
