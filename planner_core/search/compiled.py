"""Compiles what a search needs before its clock runs, once after installation; kept on disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.search.guarded import run_guarded
from planner_core.search.progress import Cancellation
from planner_core.search.state import Clock, SearchState

Kernels = Callable[[], tuple[Any, ...]]

COMPILING = "compiling the search, once after installation"


def prepare(state: SearchState) -> None:
    """Compile what the search of a problem needs, unless it has been.

    Compilation takes about half a minute, more than many a time limit, and a search that is
    over before it loses it. So the clock is set on by what it takes.
    """
    if state.stopped():
        return
    needed = _needed(state.problem, state.measure_name)
    if needed is None:
        return
    kernels, work = needed
    if all(map(_is_compiled, kernels())):
        return
    state.enter(COMPILING)
    begin = time.monotonic()
    run_guarded(work, state, float("inf"), "compilation")
    spent = time.monotonic() - begin
    state.clock = Clock(state.clock.begin + spent, state.clock.deadline + spent)


def _needed(problem: Problem, measure: str) -> tuple[Kernels, Callable[[], None]] | None:
    """What a search is of little use without, and what compiles it."""
    if measure == "peak_memory":
        return _listing, _list
    if problem.is_placed:
        return None  # the MIP is at work meanwhile
    if measure != "makespan":
        return _assigning, _assign
    from planner_core.search.makespan import BRANCHED_OPERATORS
    from planner_core.search.settling import SETTLED_OPERATORS

    if problem.graph.n_operators < SETTLED_OPERATORS:
        return None  # trying everything is over before anything is compiled
    if problem.graph.n_operators <= BRANCHED_OPERATORS:
        return _exact, _search_exactly
    return _annealing, _anneal


def local_search_is_compiled() -> bool:
    """Whether local search over order and placement would start at once."""
    return all(map(_is_compiled, _annealing()))


def memory_search_is_compiled() -> bool:
    """Whether a search for a schedule within memory would start at once."""
    from planner_core.search import memory_search

    return _is_compiled(memory_search._anneal)


def _exact() -> tuple[Any, ...]:
    from planner_core.bounds.clustering import propagate
    from planner_core.search import branch_and_bound, placement_search

    return propagate, placement_search._advance, branch_and_bound._run


def _annealing() -> tuple[Any, ...]:
    from planner_core.bounds.clustering import propagate
    from planner_core.search import memory_search
    from planner_core.search.annealing import anneal_window

    return propagate, anneal_window, memory_search._anneal


def _listing() -> tuple[Any, ...]:
    from planner_core.baselines import list_scheduling
    from planner_core.schedule import safe_order

    return list_scheduling._ready_order, safe_order._run_safely, safe_order._least_memory_order


def _assigning() -> tuple[Any, ...]:
    from planner_core.search import assignment_search

    return (assignment_search._anneal,)


def _is_compiled(kernel: Any) -> bool:
    """Whether a compiled version is in memory, or on disk and no older than its source."""
    if kernel.signatures:
        return True
    try:
        return bool(kernel._cache._cache_file._load_index())
    except (AttributeError, OSError):  # numba's own affair: where it cannot be asked, do not wait
        return True


def _tiny() -> SearchState:
    """Return the state of a search with three operators, two of which may run side by side."""
    from planner_core.baselines.list_scheduling import list_schedules
    from planner_core.bounds import makespan_bounds

    operators = [{"id": name, "duration": 1.0} for name in "abc"]
    tensors = [{"id": "t", "producer": "a", "consumers": ["b", "c"], "transfer": 0.5}]
    problem = Problem(
        template=build_graph(operators, tensors),
        cluster=build_cluster([{"id": "d0"}, {"id": "d1"}]),
    )
    state = SearchState(problem, "makespan", Clock.start(3600.0), Cancellation())
    makespan_bounds(problem)
    for name, schedule in list_schedules(problem):
        state.offer(schedule, name)
    return state


def _search_exactly() -> None:
    from planner_core.search.branch_and_bound import branch_and_bound
    from planner_core.search.clustering_search import search_clusterings
    from planner_core.search.placement_search import search_placements

    for search in (search_placements, branch_and_bound, search_clusterings):
        state = _tiny()
        search(state, 3600.0)


def _anneal() -> None:
    from planner_core.search.annealing import anneal_window
    from planner_core.search.clustering_search import search_clusterings
    from planner_core.search.local_search import improve
    from planner_core.search.memory_search import find_within_memory

    state = _tiny()
    search_clusterings(state, 3600.0)
    assert state.schedule is not None
    find_within_memory(state.problem, state.schedule, deadline=state.clock.deadline)
    improve(
        state.problem,
        state.schedule,
        deadline=state.clock.deadline,
        cancelled=lambda: bool(anneal_window.signatures),
    )


def _list() -> None:
    from planner_core.baselines.list_scheduling import list_schedules

    for memory in (np.inf, 1.0):
        list(list_schedules(_tiny().problem.with_memory(memory)))


def _assign() -> None:
    from planner_core.milp.pieces import pieces_of
    from planner_core.search.assignment_search import AssignmentAnnealer

    AssignmentAnnealer(pieces_of(_tiny().problem), "load").run(time.monotonic() + 0.01)
