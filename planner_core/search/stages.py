"""Bi-level search for micro-batched training: stages and placement above, schedule below.

Above, contiguous partitions of the graph for several placements; below, for each of them, the
placed pipeline with its cells merged (a few hundred operators at most, whatever the graph), on
which expert schedules, templates, the MIP and local search work as for any other problem. All
partitions are looked at with quick methods; the most promising share the time by halving:
every round keeps the better half. What they find is expanded to the original operators and
offered; the operators are the same, so the schedules carry over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from planner_core.baselines import PIPELINE_BASELINES, expert_schedules, templates
from planner_core.merging import Cells
from planner_core.problem import InputError, NotApplicable, PlannerError, Problem
from planner_core.problem.graph import KIND_CODE
from planner_core.problem.pipeline import PHASES
from planner_core.schedule import Schedule
from planner_core.search.experts import StageVariants, run_expert
from planner_core.search.progress import Progress
from planner_core.search.state import Clock, SearchState

SHARE = 0.6
"""Share of the time that is left which goes to stages; the rest improves all together."""

EXPERT_SHARE = 0.9
"""Share of the time left that expert schedules may take in graphs that are not large: a plan is
never worse than the best of them, so they come before everything that may or may not help."""

LARGE_EXPERT_SHARE = 0.3
"""The same in larger graphs, where one of them takes seconds and not all can be tried."""

LOOK_SHARE = 0.4
"""Share of what is left after them for a first look at every partition."""

SEARCHED = 4
"""Partitions that are searched after the first look."""

ORDER_SHARE = 0.5
"""Share of the time left after that for the order of the original operators, devices fixed."""

ROUNDS = 3
"""How often the better half of the partitions goes on."""

EXPANDED_OPERATORS = 30_000
"""In larger graphs only the best schedule of a round is expanded, not every better one."""

LARGEST = 2_000_000
"""Graphs above this size are left to others: expanding one schedule would take too long."""

PLACEMENTS: tuple[tuple[str, int], ...] = (
    ("linear", 1),
    ("v", 2),
    ("wave", 4),
    ("interleaved", 2),
    ("wave", 3),
    ("bidirectional", 2),
    ("wave", 6),
    ("interleaved", 3),
)
"""Placement and chunks per device, the most promising first."""

FIRST_EXPERTS = ("zb-v", "zb-greedy", "zb-h2", "dualpipev-sequential", "1f1b")
"""Expert schedules that are tried before the others: mostly the best, and the plainest."""

EXPERTS = tuple(dict.fromkeys((*FIRST_EXPERTS, *(b.name for b in PIPELINE_BASELINES))))

Search = Callable[[SearchState], None]


def has_stages(problem: Problem) -> bool:
    """Whether stages are worth deriving: a backward pass, operators that are free to go."""
    backward = [KIND_CODE[kind] for kind in PHASES[1:]]
    return (
        problem.n_devices > 1
        and not problem.is_placed
        and bool(np.isin(problem.template.kind, backward).any())
    )


def is_micro_batched(problem: Problem) -> bool:
    """Whether there are several micro-batches, so that stages have something to overlap."""
    return max(problem.micro_batches, int(problem.template.micro_batch.max(initial=-1)) + 1) > 1


def search_stages(state: SearchState, search: Search) -> None:
    """Offer the best of derived stages to ``state``.

    Parameters
    ----------
    state : SearchState
        Of the makespan, for a problem that :func:`has_stages` says yes to. With a single
        micro-batch only expert schedules are tried: they may fit where others lack memory.
    search : callable
        Makespan search for one placed problem.
    """
    problem = state.problem
    if problem.graph.n_operators > LARGEST:
        return
    state.enter("expert schedules on derived stages")
    variants = StageVariants(problem)
    small = problem.graph.n_operators <= EXPANDED_OPERATORS
    share = EXPERT_SHARE if small else LARGE_EXPERT_SHARE
    _offer_experts(state, variants, time.monotonic() + share * state.clock.remaining)
    if not is_micro_batched(problem) or problem.cluster.staged:
        return
    end = time.monotonic() + SHARE * state.clock.remaining
    rivals: list[_Rival] = []
    if state.options.merging != "none":  # every partition is searched with its cells merged
        look = time.monotonic() + LOOK_SHARE * (end - time.monotonic())
        rivals += _rivals(state, variants, look)
    rivals.sort(key=lambda rival: rival.value)
    rivals = rivals[:SEARCHED]
    for n in range(ROUNDS):
        left = ROUNDS - n
        for i, rival in enumerate(rivals):
            now = time.monotonic()
            if state.stopped() or now >= end:
                break
            rival.search(state, search, now + (end - now) / (left * (len(rivals) - i)))
        rivals.sort(key=lambda rival: rival.value)
        rivals = rivals[: max(1, len(rivals) // 2)]
    _improve_order(state, time.monotonic() + ORDER_SHARE * state.clock.remaining)


def _improve_order(state: SearchState, deadline: float) -> None:
    """Improve the order of the original operators where the best schedule has placed them."""
    from planner_core.search.local_search import improve

    schedule = state.schedule
    if schedule is None or state.stopped():
        return
    state.enter("local search on the best stages")

    def offer(better: Schedule) -> None:
        state.offer(better, "local search on derived stages")

    improve(
        state.problem.with_placement(schedule.device),
        schedule,
        deadline=min(deadline, state.clock.deadline),
        target=max(state.bound, state.target),
        seed=state.options.seed,
        on_improve=offer,
        cancelled=state.stopped,
    )


def _offer_experts(state: SearchState, variants: StageVariants, deadline: float) -> None:
    for name in EXPERTS:
        if state.stopped() or time.monotonic() > deadline:
            return
        try:
            result = run_expert(name, state.problem, variants=variants)
        except PlannerError:
            continue
        if result.fits:
            state.offer(result.schedule, f"{result.title} on derived stages")


def _rivals(state: SearchState, variants: StageVariants, deadline: float) -> Iterator[_Rival]:
    """Yield the partitions worth a search: those that colocation allows."""
    for placement, chunks in PLACEMENTS:
        if state.stopped() or time.monotonic() > deadline:
            return
        try:
            for placed in variants.of(placement, chunks):
                if _keeps_colocation(placed):
                    name = placement if chunks < 3 else f"{placement} {chunks}"
                    rival = _Rival(f"{name} stages", Cells.of(placed))
                    rival.look(state)
                    yield rival
        except (NotApplicable, InputError):
            continue


def _keeps_colocation(placed: Problem) -> bool:
    graph, device = placed.graph, placed.fixed_device
    members = np.flatnonzero(graph.colocation >= 0)
    pairs = np.unique(np.stack([graph.colocation[members], device[members]]), axis=1)
    return len(np.unique(pairs[0])) == pairs.shape[1]


class _Rival:
    """One partition, as cells on devices, and the best schedule of them."""

    def __init__(self, name: str, cells: Cells) -> None:
        self.name, self.cells = name, cells
        self.best: tuple[Schedule, str] | None = None
        self.bound, self.proved_by = 0.0, ""
        self.value = np.inf
        """Makespan of the original operators."""

    def look(self, state: SearchState) -> None:
        """Try what is quick."""
        state.enter(f"{self.name}: expert schedules")
        found = [
            (schedule, name)
            for source in (expert_schedules, templates)
            for name, schedule in source(self.cells.problem)
        ]
        if found and not state.stopped():
            self.best = min(found, key=lambda row: row[0].makespan)
            self.offer(state, *self.best)

    def search(self, state: SearchState, search: Search, deadline: float) -> None:
        """Go on with the cells until the deadline; offer what comes of it."""
        now = time.monotonic()
        every = self.cells.full.graph.n_operators <= EXPANDED_OPERATORS
        inner = SearchState(
            self.cells.problem,
            "makespan",
            Clock(now, deadline),
            state.cancel,
            options=state.options,
        )
        inner.bound, inner.proved_by = self.bound, self.proved_by
        if self.best is not None:
            inner.offer(*self.best)

        def relay(event: Progress) -> None:
            state.enter(f"{self.name}: {event.phase}", event.model_size)
            if every and event.schedule is not None:
                self.offer(state, event.schedule, event.found_by or "search")

        inner.on_progress = relay
        if not inner.stopped():
            search(inner)
        self.bound, self.proved_by = inner.bound, inner.proved_by or ""
        if inner.schedule is not None:
            self.best = (inner.schedule, inner.found_by or "search")
            if not every:
                self.offer(state, *self.best)

    def offer(self, state: SearchState, schedule: Schedule, found_by: str) -> None:
        """Expand a schedule of the cells and offer it."""
        expanded = self.cells.expand(schedule)
        state.offer(expanded, f"{found_by} on {self.name}")
        self.value = min(self.value, expanded.makespan)
