"""Lexicographic objectives: minimise the next measure without giving up any before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner_core.problem import Objective, Problem
from planner_core.schedule import Plan, measure
from planner_core.search.progress import OnProgress, Progress
from planner_core.search.state import SearchState

FIRST_LEVEL = 0.6
"""Share of the time that the first of several measures gets."""


def search_next_levels(first: SearchState) -> Plan:
    """Minimise the second and further measures under the values reached; return the plan.

    Parameters
    ----------
    first : SearchState
        Of the first measure, with a schedule.

    Returns
    -------
    Plan
        With value and bound of the first measure; ``optimal`` only if all are proved.
    """
    from planner_core.search.planner import search_measure

    found = first.plan()
    names = first.problem.objective.minimize
    budgets = dict(first.problem.objective.subject_to)
    last, proved = first, first.optimal
    for i, name in enumerate(names[1:], start=2):
        assert last.schedule is not None
        budgets[last.measure_name] = last.value
        problem = _level(first.problem, name, budgets)
        state = SearchState(
            problem,
            name,
            first.clock.until(1.0 / (len(names) - i + 1)),
            first.cancel,
            _relay(first, name),
            options=first.options,
        )
        state.offer(last.schedule, last.found_by or "search")
        if state.schedule is None:
            return replace(found, status="feasible")
        search_measure(state)
        state.close()
        last, proved = state, proved and state.optimal
    assert last.schedule is not None
    return replace(
        found,
        schedule=last.schedule,
        value=measure(first.measure_name, first.problem, last.schedule),
        status="optimal" if proved else "feasible",
        seconds=first.clock.elapsed,
    )


def _level(problem: Problem, name: str, budgets: dict[str, float]) -> Problem:
    """Return the problem of one measure; the graph stays as the first measure unrolled it."""
    level = replace(
        problem,
        template=problem.graph,
        micro_batches=1,
        objective=Objective((name,), {k: v for k, v in budgets.items() if k != name}),
    )
    memory = budgets.get("peak_memory")
    if memory is None:
        return level
    return level.with_memory(np.minimum(level.cluster.memory, memory))


def _relay(first: SearchState, name: str) -> OnProgress:
    """Return what turns events of a later measure into events of the first."""

    def relay(event: Progress) -> None:
        if first.on_progress is not None:
            first.on_progress(
                replace(
                    event,
                    phase=f"then {name}: {event.phase}",
                    elapsed=first.clock.elapsed,
                    incumbent=first.value,
                    lower_bound=first.bound,
                    proved_by=first.proved_by,
                )
            )

    return relay
