"""Makespan search: bounds, starts, the MIP and local search on one state."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import chain

import numpy as np

from planner_core.background import background_thread
from planner_core.baselines import compiled_templates, expert_schedules, quick_templates
from planner_core.bounds import makespan_bounds
from planner_core.problem import InputError, Problem
from planner_core.schedule import Schedule
from planner_core.search.compiled import local_search_is_compiled, memory_search_is_compiled
from planner_core.search.guarded import run_guarded
from planner_core.search.horizon import PROOF_COLUMNS, HorizonSearch
from planner_core.search.large import is_worth_merging, search_merged
from planner_core.search.questions import FreeQuestion, PlacedQuestion
from planner_core.search.settling import settle
from planner_core.search.stages import has_stages, search_stages
from planner_core.search.state import SearchState

SETTLING = 0.3
"""Share of the time that exhaustive search of a tiny problem gets."""

BRANCHED_OPERATORS = 40
"""Free graphs up to this size are given to branch and bound before the MIP."""

BRANCHING = 0.7
"""Share of the time that branch and bound gets."""

BEFOREHAND = 1.0
"""Seconds without an improvement after which local search of so small a graph has settled."""

LISTED_FIRST = 20_000
"""Larger graphs to be cut into stages are: list schedules that must keep memory take minutes."""

CLUSTERING = 0.5
"""Share of the time, at most, that a search over clusterings gets beside local search."""

ASKED_AGAIN = 0.15
"""Share of the time that is left for every later search over clusterings."""

SEARCHING = 0.9
"""Share of the time that two local searches get where the MIP is large."""

OTHER_SEED = 1_000
"""Seed of the second local search, far from those the first will use."""

SEED_STRIDE = 1_000_000
"""Runs of one seed of the options use fewer seeds of their own than that."""

COARSEST = 2.0
"""Where rounding up to the slots of the finest grid that is small enough could lengthen a schedule
by more than this factor, its order says little: local search gets the time of the MIP."""

TIGHT = 0.2
"""Share of the time a search for a first schedule within memory gets before other ways to one."""

TIGHT_OPERATORS = 50_000
"""Graphs up to this size are searched for one."""

MIP_OPERATORS = 6000
"""Graphs above this size are left to heuristics and bounds: the model would not fit."""


def search_makespan(state: SearchState) -> None:
    """Improve incumbent and bound of ``state`` until it is content, or late, or cancelled."""
    if not run_guarded(lambda: _search(state), state, state.clock.deadline, "makespan search"):
        state.close()


def _search(state: SearchState) -> None:
    """Improve incumbent and bound.

    The order: a first schedule, bounds (they decide what is worth asking), expert schedules and
    quick templates (a plan is never worse than the best of them that fits), the MIP at the
    bound, and compiled local search beside the MIP on the second core.
    """
    problem = state.problem
    if state.schedule is None:
        offer_first(state)
    state.enter("bounds")
    for bound in makespan_bounds(problem):
        state.raise_bound(bound.value, bound.name)
        if state.stopped():
            return
    state.enter("expert schedules")
    known = False
    for name, schedule in chain(expert_schedules(problem), quick_templates(problem)):
        known = True
        state.offer(schedule, name)
        if state.stopped():
            return
    staged = has_stages(problem)
    if state.schedule is None or not (problem.is_placed and known):
        offer_compiled_templates(state)
        if not staged or problem.graph.n_operators <= LISTED_FIRST:
            offer_list_schedules(state)
    if staged and not state.stopped():
        search_stages(state, search_makespan)
        if state.schedule is None:
            offer_list_schedules(state)
    if state.stopped() or settle(state, state.clock.elapsed + SETTLING * state.clock.remaining):
        return
    if state.schedule is None and memory_search_is_compiled():  # else beside the MIP
        search_within_memory(state, TIGHT * state.clock.remaining)
    if state.schedule is None and not (problem.is_placed or state.stopped()):
        from planner_core.search.budgets import start_from_assignment

        start_from_assignment(state)
        if state.stopped():
            return
    if not problem.is_placed and problem.graph.n_operators <= BRANCHED_OPERATORS:
        search_exactly(state, BRANCHING * state.clock.remaining)
        if state.stopped():
            return
    if state.options.merging == "automatic" and is_worth_merging(problem):
        search_merged(state, search_makespan)
        if state.stopped():
            return
    asked = state.value
    if not problem.is_placed:
        with _LocalSearch(state):
            search_clusterings(state, CLUSTERING * state.clock.remaining)
            asked = state.value
    search = _horizon_search(state)
    if search is not None and problem.is_placed:
        search.ask_alone()
    if state.stopped():
        return
    with _LocalSearch(state) as local, _AskedAgain(state, asked):
        if search is None or not problem.is_placed:
            _search_with_another(state, search)
        if search is not None:
            search.run()
        while not state.stopped() and local.thread.is_alive():
            state.cancel.wait(0.05)


def search_clusterings(
    state: SearchState,
    seconds: float,
    leave: Callable[[], bool] = lambda: False,
    told: bool = True,
) -> None:
    """Prove what can be proved from clusterings alone; ``told`` says that it is a phase."""
    from planner_core.search import clustering_search

    if state.schedule is not None and not state.stopped():
        if told:
            state.enter(clustering_search.NAME)
        clustering_search.search_clusterings(state, seconds, leave)


def search_exactly(state: SearchState, seconds: float) -> None:
    """Search order and placement to the end, one branching first on the order, one on placement.

    Which of the two is faster differs by orders of magnitude from graph to graph, so both run,
    each on a core; local search, which settles first, makes way for them.
    """
    from planner_core.search.branch_and_bound import branch_and_bound
    from planner_core.search.placement_search import search_placements

    state.enter("branch and bound")
    end = state.clock.elapsed + seconds
    done = threading.Event()

    def place() -> None:
        if search_placements(state, seconds, done.is_set):
            done.set()

    placing = background_thread(place, "search over placements")
    placing.start()
    # Where local search is not compiled yet, its compilation would take the time of all three.
    if local_search_is_compiled():
        with _LocalSearch(state) as local:
            search_clusterings(state, 0.2 * seconds, done.is_set)
            while not (state.stopped() or done.is_set()) and local.thread.is_alive():
                if state.clock.elapsed > end or local.settled(min(BEFOREHAND, 0.1 * seconds)):
                    break
                done.wait(0.02)
    else:
        search_clusterings(state, 0.2 * seconds, done.is_set)
    branch_and_bound(state, end - state.clock.elapsed, done.is_set)
    done.set()
    placing.join(1.0)


def _search_with_another(state: SearchState, search: HorizonSearch | None) -> None:
    """Where there is no MIP, or it is too large to find or prove much, let local search go first.

    It then has both cores; but it needs a schedule to begin with.
    """
    small = search is not None and search.question.columns(search.lowest) <= PROOF_COLUMNS
    if small or state.schedule is None or state.problem.graph.n_operators > MIP_OPERATORS:
        return
    state.enter("local search")
    end = state.clock.elapsed + (1.0 if search is None else SEARCHING) * state.clock.remaining
    with _LocalSearch(state, seed=OTHER_SEED) as other:
        while not state.stopped() and other.thread.is_alive() and state.clock.elapsed < end:
            state.cancel.wait(0.05)


def _horizon_search(state: SearchState) -> HorizonSearch | None:
    """Return the MIP's part of the search, or None for a graph too large or a grid too coarse."""
    problem = state.problem
    if problem.graph.n_operators > MIP_OPERATORS:
        return None
    question_type = PlacedQuestion if problem.is_placed else FreeQuestion
    question = question_type.of(problem, min(state.value, max(1.25 * state.bound, 1e-12)))
    coarse = not question.exact and question.stretch() > COARSEST
    if coarse and state.schedule is not None:
        return None
    search = HorizonSearch(state, question, serial_makespan(problem))
    search.round_bound()
    return search


def offer_first(state: SearchState) -> None:
    """Offer list schedules until one fits: bounds take long, and end no search that has nothing."""
    if state.problem.graph.n_operators > LISTED_FIRST:
        return
    from planner_core.baselines.list_scheduling import list_schedules

    state.enter("first schedules")
    for name, schedule in list_schedules(state.problem):
        if state.offer(schedule, name) or state.cancel.is_set():
            return


def offer_compiled_templates(state: SearchState) -> None:
    """Offer the templates that need compiled code (its first compilation takes seconds)."""
    for name, schedule in compiled_templates(state.problem, enough=state.schedule is not None):
        state.offer(schedule, name)
        if state.stopped():
            return


def offer_list_schedules(state: SearchState) -> None:
    """Offer what the list schedulers make of the problem."""
    from planner_core.baselines.list_scheduling import list_schedules

    state.enter("list schedules")
    for name, schedule in list_schedules(state.problem):
        state.offer(schedule, name)
        if state.stopped():
            return


def search_within_memory(
    state: SearchState, seconds: float, leave: Callable[[], bool] = lambda: False
) -> None:
    """Offer what keeps the memory limits, changed from a list schedule made without them."""
    problem = state.problem
    if problem.graph.n_operators > TIGHT_OPERATORS or np.all(np.isinf(problem.cluster.memory)):
        return
    from planner_core.baselines.list_scheduling import list_schedules
    from planner_core.search.memory_search import find_within_memory

    free = problem.with_memory(np.inf)
    begin = next((schedule for _, schedule in list_schedules(free)), None)
    if begin is None:
        return
    state.enter("search for a schedule within memory")
    found = find_within_memory(
        problem,
        begin,
        deadline=min(time.monotonic() + seconds, state.clock.deadline),
        seed=state.options.seed * SEED_STRIDE,
        cancelled=lambda: state.schedule is not None or state.stopped() or leave(),
    )
    if found is not None:
        state.offer(found, "local search")


def serial_makespan(problem: Problem) -> float:
    """Makespan no sensible schedule exceeds: one operator and one transfer after the other."""
    durations, graph = problem.durations, problem.graph
    slowest = np.where(np.isfinite(durations), durations, 0.0).max(axis=1).sum()
    cluster = problem.cluster
    linked = cluster.has_link & ~np.eye(problem.n_devices, dtype=bool)
    latency = float(np.max(cluster.latency[linked], initial=0.0))
    bandwidth = float(np.min(cluster.bandwidth[linked], initial=np.inf))
    moves = np.where(np.isnan(graph.transfer), latency + graph.size / bandwidth, graph.transfer)
    return float(slowest + 2 * moves[graph.edge_tensor].sum())


class _LocalSearch:
    """Runs compiled local search in a thread beside the MIP (its code releases the GIL)."""

    def __init__(self, state: SearchState, seed: int = 0) -> None:
        self.state, self.seed = state, state.options.seed * SEED_STRIDE + seed
        self.leave = threading.Event()
        self.improved = time.monotonic()
        self.thread = background_thread(self._run, "local search")

    def __enter__(self) -> _LocalSearch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave.set()
        self.thread.join(1.0)

    def settled(self, seconds: float) -> bool:
        """Whether it has found nothing better for so long."""
        return time.monotonic() - self.improved > seconds

    def _offer(self, schedule: Schedule) -> None:
        if self.state.offer(schedule, "local search"):
            self.improved = time.monotonic()

    def _run(self) -> None:
        from planner_core.search.local_search import improve

        state = self.state
        offer_compiled_templates(state)
        seed = self.seed
        if state.schedule is None and not state.stopped():
            search_within_memory(state, state.clock.remaining, self.leave.is_set)
        while not (state.stopped() or self.leave.is_set()):
            if state.schedule is None:
                self.leave.wait(0.1)
                continue
            try:
                improve(
                    state.problem,
                    state.schedule,
                    deadline=state.clock.deadline,
                    target=max(state.bound, state.target),
                    seed=seed,
                    on_improve=self._offer,
                    cancelled=lambda: state.stopped() or self.leave.is_set(),
                    rival=lambda: state.schedule,
                )
            except InputError:
                return
            seed += 1


class _AskedAgain:
    """Asks clusterings again, in a thread, whenever something better was found and has settled.

    What could not be refused of a worse incumbent may be now.

    Parameters
    ----------
    state : SearchState
    asked : float
        Incumbent that clusterings were asked for last.
    """

    def __init__(self, state: SearchState, asked: float) -> None:
        self.state, self.asked = state, asked
        self.leave = threading.Event()
        self.thread = background_thread(self._run, "clusterings asked again")

    def __enter__(self) -> None:
        if not self.state.problem.is_placed:
            self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.leave.set()
        if self.thread.is_alive():
            self.thread.join(1.0)

    def _over(self) -> bool:
        return self.leave.is_set() or self.state.stopped()

    def _run(self) -> None:
        state = self.state
        known, since = state.value, time.monotonic()
        while not self._over():
            self.leave.wait(0.05)
            if state.value < known:
                known, since = state.value, time.monotonic()
            elif known < self.asked and time.monotonic() > since + BEFOREHAND:
                self.asked = known
                search_clusterings(
                    state, ASKED_AGAIN * state.clock.remaining, self._over, told=False
                )
