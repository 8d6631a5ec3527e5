"""Local search where devices are fixed: annealing over the order of every resource.

Importing this module imports numba.
"""

from __future__ import annotations

import numpy as np

from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule import Tasks
from planner_core.schedule.retiming import topological_rank
from planner_core.schedule.safe_order import TaskColumns, safe_starts, task_columns
from planner_core.search.cooling import Pace, cooling
from planner_core.search.incumbent import Incumbent
from planner_core.search.sequences import (
    THRESHOLDS,
    Orders,
    anneal_orders,
    decode_orders,
    fillers,
    room_for,
)

DISPATCH_TASKS = 5_000
"""Up to here runs also start from dispatches of their own."""
PROMISING = 3
"""Number of starts that runs take turns with."""
REACH = 6
"""How many places a move carries a task along the order of its resource, at most."""


class OrderAnnealer:
    """Annealing over the order of every resource; devices are fixed.

    Every run starts from the best orders known or from a dispatch of its own, and may begin
    with levelled durations (every task takes the mean) that turn into the true ones: with
    memory this tight, good patterns are found far more easily where all tasks are alike.
    """

    def __init__(self, search: Incumbent, tasks: Tasks, seed: int) -> None:
        self.search, self.tasks = search, tasks
        self.columns = task_columns(tasks)
        self.filler = fillers(tasks)
        self.kind = _alike(search.problem, tasks)
        self.room = room_for(self.columns)
        self.queue_first = self.room.queue_from.copy()
        self.state = np.array([seed * 2 + 88172645463325253], dtype=np.uint64)
        self.random = np.random.default_rng(seed)
        self.mean = float(self.columns.duration.mean()) or 1.0
        self.pace = Pace(2e4)
        self.best = self.orders(tasks.start_times(search.best))
        self.makespan = self.time(self.best, self.columns)

    def orders(self, start: FloatArray) -> Orders:
        """Orders of given start times."""
        order = np.lexsort((topological_rank(self.tasks), start + self.tasks.duration, start))
        order = order[~self.filler[order]]
        resource = self.tasks.resource[order]
        sequence = order[np.argsort(resource, kind="stable")].astype(np.int32)
        count = np.bincount(resource, minlength=self.tasks.n_resources)
        first = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
        whole_gap = int(np.flatnonzero(THRESHOLDS == 1.0)[0])
        return Orders(first, sequence, np.where(self.filler, -1, whole_gap).astype(np.int32))

    def time(self, orders: Orders, columns: TaskColumns) -> float:
        """Makespan of orders with some durations; with the true ones, offered if better."""
        makespan, _ = decode_orders(columns, orders, self.room, self.queue_first)
        if columns is self.columns:
            self.search.offer(makespan, lambda: self.tasks.schedule(self.room.start.copy()))
        return makespan

    def dispatched(self, columns: TaskColumns) -> list[Orders]:
        """Orders that dispatching gives with some durations, each once."""
        if self.tasks.n_tasks > DISPATCH_TASKS:
            return []
        found: dict[bytes, Orders] = {}
        for start in safe_starts(self.tasks, columns, _task_tails(columns, self.tasks)):
            orders = self.orders(start)
            found.setdefault(orders.sequence.tobytes(), orders)
            if self.search.stopped:
                break
        return list(found.values())

    def run(self) -> None:
        """Anneal with restarts, each longer than the last, until the search is stopped."""
        level = self.columns._replace(duration=np.full(self.tasks.n_tasks, self.mean))
        half = self.columns._replace(duration=(self.columns.duration + self.mean) / 2)
        self.anneal(self.copy(self.best), self.columns, 1.5)
        starts = [self.copy(self.best), *self.dispatched(self.columns), *self.dispatched(level)]
        starts.sort(key=lambda orders: self.time(orders, level))
        starts = starts[:PROMISING]
        seconds, turn, least = 1.5, 0, np.inf
        while not self.search.stopped:
            orders = self.anneal(self.copy(starts[turn % len(starts)]), level, seconds)
            makespan = self.time(orders, level)
            if makespan <= least * (1 + RELATIVE_TOLERANCE):
                least = makespan
                orders = self.anneal(orders, half, seconds)
                self.anneal(orders, self.columns, seconds)
            if turn % 3 == 2:
                self.anneal(self.copy(self.best), self.columns, seconds)
            turn += 1
            seconds = min(6.0, seconds * 1.2)

    @staticmethod
    def copy(orders: Orders) -> Orders:
        """Orders that may be changed."""
        return Orders(orders.first, orders.sequence.copy(), orders.threshold.copy())

    def anneal(self, orders: Orders, columns: TaskColumns, seconds: float) -> Orders:
        """One run of annealing with some durations; return the best orders it saw."""
        best = self.copy(orders)
        trial = self.copy(orders)
        hot = self.mean * float(self.random.choice([0.1, 0.2, 0.4]))
        weight = float(self.random.choice([0.3, 1.0, 2.0]))
        true = columns is self.columns
        makespan = np.inf
        for warmer, colder in cooling(seconds, hot, hot / 10):
            if self.search.stopped:
                break
            found = anneal_orders(
                columns,
                orders,
                self.room,
                self.queue_first,
                self.kind,
                warmer,
                colder,
                weight,
                REACH,
                self.pace.moves(),
                self.state,
                trial.sequence,
                trial.threshold,
            )
            self.pace.took()
            if found < makespan:
                makespan = found
                best = self.copy(trial)
            if true and found < self.makespan:
                self.best, self.makespan = self.copy(trial), found
                self.time(self.best, self.columns)
        return best


def _task_tails(columns: TaskColumns, tasks: Tasks) -> FloatArray:
    """Longest path from every task's start to the end; shape (T,)."""
    tail = columns.duration.copy()
    order = np.argsort(topological_rank(tasks))[::-1]
    for task in order.tolist():
        arcs = columns.out_arc[columns.out_ptr[task] : columns.out_ptr[task + 1]]
        if len(arcs):
            behind = tail[columns.arc_to[arcs]] + columns.arc_lag[arcs]
            tail[task] += float(behind.max())
    return tail


def _alike(problem: Problem, tasks: Tasks) -> IntArray:
    """Number tasks that differ only in their micro-batch alike; −1 for all others."""
    graph = problem.graph
    n = tasks.n_operators
    alike = np.full(tasks.n_tasks, -1, dtype=np.int32)
    batched = np.flatnonzero((graph.micro_batch >= 0) & (graph.stage >= 0))
    key = np.stack([tasks.resource[:n], graph.stage, graph.kind, tasks.duration[:n]], axis=1)[
        batched
    ]
    alike[batched] = np.unique(key, axis=0, return_inverse=True)[1]
    return alike
