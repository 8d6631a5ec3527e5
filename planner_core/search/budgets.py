"""Makespan under budgets that the placement decides: period and memory moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner_core.problem import Objective
from planner_core.search.makespan import search_makespan
from planner_core.search.progress import Progress
from planner_core.search.state import SearchState

FIRST = 0.25
"""Share of the time that goes into a placement within the budgets and its schedule."""


ANY = 0.7
"""The same where there is no schedule at all and nothing else to improve."""


def search_makespan_within(state: SearchState) -> None:
    """Improve the makespan of ``state`` under its budgets until it is content.

    The makespan search itself only refuses schedules beyond a budget; so that it has something
    to start from, a placement within the budgets is found first, by minimising one of them.
    """
    budgets = dict(state.problem.objective.subject_to)
    placed = next((name for name in ("transfer", "period") if name in budgets), None)
    if placed is not None and not state.problem.is_placed:
        _start_within(state, placed, budgets)
    if not state.stopped():
        search_makespan(state)


def start_from_assignment(state: SearchState) -> None:
    """Offer the schedule of a placement that fits, where list schedules found none that does.

    The assignment search knows the memory limits from the beginning; list schedulers meet them
    when little is left to choose.
    """
    _start_within(state, "period", dict(state.problem.objective.subject_to), ANY)


def _start_within(
    state: SearchState, measure: str, budgets: dict[str, float], share: float = FIRST
) -> None:
    """Offer the schedules of placements within the budgets; a proof that none exists counts.

    Without a budget for the measure any placement will do.
    """
    from planner_core.search.assignment import search_assignment

    problem = state.problem
    budget = budgets.pop(measure, np.inf)
    # The graph stays as it is unrolled here: a period counts its micro-batches from the operators.
    relaxed = replace(
        problem,
        template=problem.graph,
        micro_batches=1,
        objective=Objective((measure,), budgets),
    )

    def relay(event: Progress) -> None:
        if event.schedule is not None:
            state.offer(event.schedule, event.found_by or "assignment search")
        state.enter(f"placement by {measure}: {event.phase}", event.model_size)

    inner = SearchState(
        relaxed,
        measure,
        state.clock.until(share),
        state.cancel,
        relay,
        target=budget,
        options=state.options,
    )
    search_assignment(inner)
    if inner.impossible or inner.empty:
        state.raise_bound(float("inf"), f"{inner.proved_by} on the {measure}")
        return
    if inner.schedule is not None:
        fixed = replace(problem.with_placement(inner.schedule.device), objective=problem.objective)
        clock = state.clock.until(FIRST)
        search_makespan(
            SearchState(fixed, "makespan", clock, state.cancel, relay, options=state.options)
        )
