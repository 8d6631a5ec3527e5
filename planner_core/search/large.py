"""Bi-level search for graphs too large for the programme: merge, plan, un-merge.

The graph is merged with several caps on the work of a macro-operator. Each merged problem is
planned with list schedules and local search (with the whole makespan search where few enough
macro-operators are left), un-merged, timed exactly and offered; improving it operator by
operator is left to the local search that follows. A user can name one heuristic and one cap
instead, for any graph and any measure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from planner_core.merging.merged import Merged
from planner_core.merging.upper_level import merge
from planner_core.problem import NotApplicable, Problem
from planner_core.schedule import Schedule
from planner_core.search.guarded import run_guarded
from planner_core.search.progress import Progress
from planner_core.search.state import Clock, SearchState

SMALLEST = 500
"""Graphs up to this size are searched as they are."""

SHARE = 0.4
"""Share of the time that is left which goes to merged graphs."""

CAP_SHARES: tuple[float, ...] = (0.0005, 0.002, 0.008, 0.03, 0.1)
"""Caps on the work of a macro-operator, as shares of max(critical path, work over devices)."""

WHOLE_SEARCH = 300
"""Up to this many macro-operators the whole makespan search, programme included, is used."""

LOCAL_SEARCH = 100_000
"""Up to this many macro-operators local search improves the list schedules before un-merging."""

SMALLER = 0.95
"""A merged graph is worth a plan if it is smaller than the one before by this factor."""

Search = Callable[[SearchState], None]


def is_worth_merging(problem: Problem) -> bool:
    """Whether there are many operators that may run on several devices."""
    return problem.graph.n_operators > SMALLEST and not problem.is_placed


def search_merged(state: SearchState, search: Search) -> None:
    """Offer what merged graphs give to ``state``.

    Parameters
    ----------
    state : SearchState
        Of the makespan, for a problem that :func:`is_worth_merging` says yes to.
    search : callable
        Makespan search for one small problem.
    """
    begin = time.monotonic()
    end = begin + SHARE * state.clock.remaining
    for n, merged in enumerate(_merged_graphs(state)):
        now = time.monotonic()
        if state.stopped() or (n > 0 and now >= end):
            return
        _plan(state, merged, search, now + (end - now) / (len(CAP_SHARES) - n))


def search_merged_by(state: SearchState, search: Search) -> None:
    """Offer what the graph merged as the options say gives to ``state``.

    Parameters
    ----------
    state : SearchState
        Whose options name a heuristic.
    search : callable
        Search for the state's measure on one problem.
    """
    options = state.options
    deadline = time.monotonic() + SHARE * state.clock.remaining

    def work() -> None:
        merged = merge(
            state.problem, options.merging, cap=options.merging_cap, stopped=state.stopped
        )
        smaller = merged.n_macros < state.problem.graph.n_operators
        if smaller and not state.stopped() and time.monotonic() < deadline:
            _plan(state, merged, search, deadline)

    state.enter("merging operators")
    run_guarded(work, state, deadline, "search of a merged graph")


def _merged_graphs(state: SearchState) -> Iterator[Merged]:
    """Yield the graph merged with growing caps, each noticeably smaller than the one before."""
    size = float(state.problem.graph.n_operators)
    for share in CAP_SHARES:
        if state.stopped():
            return
        state.enter("merging operators")
        merged = merge(state.problem, cap_share=share, stopped=state.stopped)
        if merged.n_macros <= SMALLER * size:
            size = merged.n_macros
            yield merged


def _plan(state: SearchState, merged: Merged, search: Search, deadline: float) -> None:
    """Plan one merged graph until the deadline, un-merge the best schedule and offer it."""
    size = merged.n_macros
    what = f"{size} merged operators"
    state.enter(what, merged_operators=size)

    def relay(event: Progress) -> None:
        state.enter(f"{what}: {event.phase}", event.model_size, size)

    clock = Clock(time.monotonic(), min(deadline, state.clock.deadline))
    inner = SearchState(
        merged.problem,
        state.measure_name,
        clock,
        state.cancel,
        relay,
        options=replace(state.options, merging="none", merging_cap=None),
    )
    if size <= WHOLE_SEARCH or state.measure_name != "makespan":
        search(inner)
        found = [] if inner.schedule is None else [(inner.found_by or "search", inner.schedule)]
    else:
        found = _quick_schedules(inner)
    for name, schedule in found:
        try:
            state.offer(merged.unmerge(schedule), f"{name} on {what}")
        except NotApplicable:  # the merged graph saw the memory too kindly
            continue


def _quick_schedules(inner: SearchState) -> list[tuple[str, Schedule]]:
    """Best list schedule of a merged graph, and what local search makes of it."""
    from planner_core.baselines.list_scheduling import list_schedules
    from planner_core.search.local_search import improve

    for name, schedule in list_schedules(inner.problem):
        inner.offer(schedule, name)
        if inner.stopped():
            break
    if inner.schedule is None:
        return []
    found = [(inner.found_by or "list schedule", inner.schedule)]
    if inner.problem.graph.n_operators <= LOCAL_SEARCH and not inner.stopped():
        better = improve(
            inner.problem,
            inner.schedule,
            deadline=inner.clock.deadline,
            seed=inner.options.seed,
            cancelled=inner.stopped,
        )
        found.append(("local search", better))
    return found
