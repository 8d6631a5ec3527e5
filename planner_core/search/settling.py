"""Exact search for tiny problems: every placement, every conflict settled in every way.

Every rule of the problem model is kept, real durations included, so that the shortest schedule
of a handful of operators is known for sure. A node of the search has the earliest times that
its arcs allow. Where two tasks then share a unary resource, one must follow the other; where a
set of holds takes too much memory at one instant, one of them must end before another begins
(minimal forbidden sets: Igelmund and Radermacher 1983, "Preselective strategies for the
optimization of stochastic project networks"). Nodes that are not shorter than the incumbent
are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, combinations, pairwise, product

import numpy as np

from planner_core.milp.free_grid import distinct_devices, least_delays
from planner_core.problem import RELATIVE_TOLERANCE, InputError
from planner_core.schedule import Tasks, compile_tasks, measure
from planner_core.search.state import SearchState

SETTLED_OPERATORS = 10
"""Graphs up to this size are worth trying."""

SETTLED_PLACEMENTS = 20_000
"""Up to so many placements are worth trying."""

Arc = tuple[int, int, float]


class _Stopped(Exception):
    """Time is up or the user has cancelled."""


def settle(state: SearchState, deadline: float) -> bool:
    """Find a shortest schedule of a tiny problem and prove it; return whether that is done.

    Parameters
    ----------
    state : SearchState
        Of the makespan. Better schedules are offered to it; at the end its bound is raised to
        its value (to inf if no schedule exists).
    deadline : float
        Seconds on the state's clock at which to give up.
    """
    problem = state.problem
    allowed = distinct_devices(problem)
    if problem.graph.n_operators > SETTLED_OPERATORS:
        return False
    if np.prod(allowed.sum(axis=1), dtype=float) > SETTLED_PLACEMENTS:
        return False
    state.enter("exhaustive search")

    def check() -> None:
        if state.stopped() or state.clock.elapsed > deadline:
            raise _Stopped

    try:
        for device in _placements(state, allowed):
            check()
            try:
                tasks = compile_tasks(problem, device)
            except InputError:
                continue  # no link
            if _over_budget(tasks):
                continue
            if not np.any(tasks.resident > problem.cluster.memory * (1 + RELATIVE_TOLERANCE)):
                _Search(state, tasks, check).settle([])
    except _Stopped:
        return False
    state.raise_bound(state.value, "exhaustive search")
    return True


def _over_budget(tasks: Tasks) -> bool:
    """Whether the placement alone exceeds a budget: the order changes neither of these measures."""
    budgets = tasks.problem.objective.subject_to
    schedule = tasks.schedule(np.zeros(tasks.n_tasks))
    return any(
        measure(name, tasks.problem, schedule) > budgets[name] * (1 + RELATIVE_TOLERANCE)
        for name in ("period", "transfer")
        if name in budgets
    )


def _placements(state: SearchState, allowed: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the placements that some schedule shorter than the incumbent may use."""
    problem, graph = state.problem, state.problem.graph
    order = graph.topological_order.tolist()
    durations, delay = problem.durations, least_delays(problem)
    ptr, edges = graph.in_edges
    device = np.full(graph.n_operators, -1, dtype=np.int32)
    finish = np.zeros(graph.n_operators)
    load = np.zeros((problem.n_devices, len(graph.stream_names)))
    home: dict[int, int] = {}

    def place(i: int) -> Iterator[np.ndarray]:
        if i == len(order):
            yield device.copy()
            return
        o = order[i]
        group, stream = int(graph.colocation[o]), int(graph.stream[o])
        for k in np.flatnonzero(allowed[o]).tolist():
            if group >= 0 and home.get(group, k) != k:
                continue
            ready = 0.0
            for e in edges[ptr[o] : ptr[o + 1]].tolist():
                p = int(graph.edge_source[e])
                ready = max(ready, finish[p] + delay[graph.edge_tensor[e], device[p], k])
            finish[o] = ready + durations[o, k]
            if max(finish[o], load[k, stream] + durations[o, k]) >= _limit(state):
                continue
            device[o] = k
            first = group >= 0 and group not in home
            if first:
                home[group] = k
            load[k, stream] += durations[o, k]
            yield from place(i + 1)
            load[k, stream] -= durations[o, k]
            if first:
                del home[group]

    return place(0)


def _limit(state: SearchState) -> float:
    """What a better schedule must stay below."""
    return state.value * (1 - RELATIVE_TOLERANCE)


class _Search:
    """Settles the conflicts of one placement."""

    def __init__(self, state: SearchState, tasks: Tasks, check: Callable[[], None]) -> None:
        self.state, self.tasks, self.check = state, tasks, check
        self.duration: list[float] = tasks.duration.tolist()
        arcs = zip(
            tasks.arc_from.tolist(), tasks.arc_to.tolist(), tasks.arc_lag.tolist(), strict=True
        )
        self.precedence: list[Arc] = [(a, b, self.duration[a] + lag) for a, b, lag in arcs]
        users: dict[int, list[int]] = {}
        for task, resource in enumerate(tasks.resource.tolist()):
            if self.duration[task] > 0:
                users.setdefault(resource, []).append(task)
        self.pairs = [pair for row in users.values() for pair in combinations(row, 2)]
        ends = list(zip(tasks.release_task.tolist(), tasks.release_lag.tolist(), strict=True))
        self.releases = [ends[a:b] for a, b in pairwise(tasks.release_ptr.tolist())]
        limits = tasks.problem.cluster.memory * (1 + RELATIVE_TOLERANCE) - tasks.resident
        self.rooms = [
            (float(limits[k]), here)
            for k in range(tasks.problem.n_devices)
            if (here := np.flatnonzero(tasks.hold_device == k).tolist())
            and tasks.hold_size[here].sum() > limits[k]
        ]
        self.slack = RELATIVE_TOLERANCE * max(self.duration, default=0.0)

    def settle(self, arcs: list[Arc]) -> None:
        """Search below a node."""
        self.check()
        start = self.earliest(arcs)
        if start is None:
            return
        ways = self.ways(start)
        if ways is None:
            found = self.tasks.schedule(np.array(start))
            if not self.state.offer(found, "exhaustive search"):
                raise _Stopped  # someone else was faster, or within a hair of a rule: no proof
            return
        for way in ways:
            self.settle(arcs + way)

    def earliest(self, arcs: list[Arc]) -> list[float] | None:
        """Least start times, or None if they are not better than the incumbent."""
        start = [0.0] * self.tasks.n_tasks
        limit = _limit(self.state)
        n = self.tasks.n_operators
        for _ in range(len(start) + 1):
            changed = False
            for a, b, weight in chain(self.precedence, arcs):
                if start[a] + weight > start[b] * (1 + 1e-15):
                    start[b] = start[a] + weight
                    changed = True
            if any(start[o] + self.duration[o] >= limit for o in range(n)):
                return None
            if not changed:
                return start
        return None  # a cycle

    def ways(self, start: list[float]) -> list[list[Arc]] | None:
        """Ways to settle one conflict; None if there is no conflict."""
        duration = self.duration
        for a, b in self.pairs:
            end = min(start[a] + duration[a], start[b] + duration[b])
            if end - max(start[a], start[b]) > self.slack:
                first, second = (a, b) if start[a] <= start[b] else (b, a)
                return [[(first, second, duration[first])], [(second, first, duration[second])]]
        crowd = self.crowd(start)
        if crowd is None:
            return None
        found = []
        for early, late in product(crowd, repeat=2):
            if self.releases[early]:
                task = int(self.tasks.hold_task[late])
                lead = duration[task] if self.tasks.hold_at_finish[late] else 0.0
                found.append(
                    [(r, task, duration[r] + lag - lead) for r, lag in self.releases[early]]
                )
        return found

    def crowd(self, start: list[float]) -> list[int] | None:
        """Holds that together take too much memory at one instant, as few as possible."""
        tasks = self.tasks
        for limit, here in self.rooms:
            begin = {h: self.begin(h, start) for h in here}
            end = {h: self.end(h, start) for h in here}
            here.sort(key=lambda h: -tasks.hold_size[h])
            for instant in sorted(set(begin.values())):
                total, crowd = 0.0, []
                for h in here:
                    if begin[h] <= instant + self.slack and end[h] > instant + self.slack:
                        total += float(tasks.hold_size[h])
                        crowd.append(h)
                        if total > limit:
                            return crowd
        return None

    def begin(self, hold: int, start: list[float]) -> float:
        task = int(self.tasks.hold_task[hold])
        return start[task] + (self.duration[task] if self.tasks.hold_at_finish[hold] else 0.0)

    def end(self, hold: int, start: list[float]) -> float:
        ends = [start[task] + self.duration[task] + lag for task, lag in self.releases[hold]]
        return max(ends, default=np.inf)
