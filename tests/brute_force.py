"""The shortest schedule of a tiny problem whose times are whole numbers, by trying them all.

Shares with the planner only what a problem means: compiled tasks and the validator.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from planner_core.problem import InputError, Problem
from planner_core.schedule import Schedule, Tasks, compile_tasks, validate


def shorter_schedule(problem: Problem, makespan: float) -> Schedule | None:
    """Return a shortest schedule that is shorter than ``makespan``, or None if there is none."""
    found: Schedule | None = None
    for device in placements(problem):
        try:
            tasks = compile_tasks(problem, device)
        except InputError:
            continue  # no link
        better = _Starts(tasks).shorter(found.makespan if found else makespan)
        found = better or found
    return found


def placements(problem: Problem) -> list[np.ndarray]:
    """Every choice of allowed devices that keeps colocation."""
    graph = problem.graph
    choices = product(*(np.flatnonzero(np.isfinite(row)) for row in problem.durations))
    return [
        np.array(device, dtype=np.int32)
        for device in choices
        if all(
            device[a] == device[b]
            for a, b in product(range(len(device)), repeat=2)
            if graph.colocation[a] == graph.colocation[b] >= 0
        )
    ]


class _Starts:
    """Depth-first search over whole start times, producers before consumers."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        n = tasks.n_tasks
        self.length = np.round(tasks.duration).astype(int).tolist()
        self.before: list[list[tuple[int, int]]] = [[] for _ in range(n)]
        after: list[list[tuple[int, int]]] = [[] for _ in range(n)]
        for a, b, lag in zip(tasks.arc_from, tasks.arc_to, tasks.arc_lag, strict=True):
            self.before[b].append((int(a), self.length[a] + round(lag)))
            after[a].append((int(b), self.length[a] + round(lag)))
        self.order: list[int] = []
        while len(self.order) < n:
            self.order += [
                v
                for v in range(n)
                if v not in self.order and all(a in self.order for a, _ in self.before[v])
            ]
        self.tail = list(self.length)  # from a start to the end
        for v in reversed(self.order):
            for b, weight in after[v]:
                self.tail[v] = max(self.tail[v], weight + self.tail[b])
        self.like = [
            [u for u in self.order[: self.order.index(v)] if tasks.resource[u] == tasks.resource[v]]
            for v in range(n)
        ]

    def shorter(self, makespan: float) -> Schedule | None:
        """Return a shortest schedule shorter than ``makespan``, or None."""
        self.makespan, self.found = makespan, None
        self.start = [0] * len(self.order)
        self.place(0)
        return self.found

    def place(self, i: int) -> None:
        if i == len(self.order):
            schedule = self.tasks.schedule(np.array(self.start, dtype=float))
            if schedule.makespan < self.makespan and not validate(self.tasks.problem, schedule):
                self.makespan, self.found = schedule.makespan, schedule
            return
        v = self.order[i]
        time = max((self.start[a] + weight for a, weight in self.before[v]), default=0)
        while time + self.tail[v] < self.makespan:
            if all(self.apart(u, v, time) for u in self.like[v]):
                self.start[v] = time
                self.place(i + 1)
            time += 1

    def apart(self, u: int, v: int, time: int) -> bool:
        """Whether u, placed already, leaves the resource to v from ``time`` on."""
        end = min(self.start[u] + self.length[u], time + self.length[v])
        return end <= max(self.start[u], time)
