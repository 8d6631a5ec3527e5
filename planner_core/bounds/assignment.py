"""Work over devices: operators may be split over their allowed devices at will."""

from __future__ import annotations

from itertools import product

import numpy as np

from planner_core.bounds.bound import Bound
from planner_core.bounds.linear import Rows
from planner_core.bounds.paths import Network
from planner_core.problem import Problem
from planner_core.problem.graph import FloatArray
from planner_core.schedule.measures import micro_batch_count

THRESHOLDS = 5
"""How many heads and how many tails are tried as "everything that starts no earlier"."""
KINDS_OF_WORK = 2_000
"""With more kinds of work than this the linear programme is too large; no bound is given."""


def work_bound(problem: Problem, network: Network) -> Bound:
    """Smallest head + work over devices + smallest tail, over sets given by thresholds.

    Operators with head ≥ r and tail ≥ q run within T − r − q on every stream.
    """
    head, tail = network.head, network.tail
    spread = _SpreadWork(problem)
    value = 0.0
    for r, q in product(_thresholds(head), _thresholds(tail)):
        inside = (head >= r) & (tail >= q)
        if inside.any():
            value = max(value, r + q + spread.of(inside))
    return Bound(value, "work over devices")


def period_bound(problem: Problem, network: Network) -> Bound:
    """Busiest stream per micro-batch, if work could be split (fixed devices: the exact load)."""
    count = micro_batch_count(problem)
    if network.tasks is not None:
        streams = network.tasks.resource_device[network.resource] >= 0
        load = np.bincount(network.resource[streams], weights=network.duration[streams])
        return Bound(float(load.max(initial=0.0)) / count, "device load bound")
    everything = np.ones(problem.graph.n_operators, dtype=bool)
    whole = Bound(_largest_piece(problem) / count, "largest operator or colocation group")
    work = Bound(_SpreadWork(problem).of(everything) / count, "work over devices")
    return max(whole, work, key=lambda bound: bound.value)


class _SpreadWork:
    """Operators by kind of work: those whose durations on all devices are proportional.

    Parameters
    ----------
    problem : Problem

    Attributes
    ----------
    weight : float array, shape (n,)
        Shortest duration of each operator.
    kind : int array, shape (n,)
    shape : float array, shape (kinds, K)
        Durations of each kind, the shortest 1; inf where not allowed.
    """

    def __init__(self, problem: Problem) -> None:
        durations = np.asarray(problem.durations)
        self.streams, self.n_devices = problem.graph.stream, durations.shape[1]
        self.weight = durations.min(axis=1)
        self.kind = np.zeros(len(durations), dtype=np.int64)
        if durations.strides[1] == 0 or np.all(durations == durations[:, :1]):
            self.shape = np.ones((1, self.n_devices))
            return
        shape = durations / np.where(self.weight > 0, self.weight, 1.0)[:, None]
        for column in np.round(shape, 9).T:  # columns one by one: rows compare far more slowly
            _, part = np.unique(column, return_inverse=True)
            pair = self.kind * (int(part.max(initial=0)) + 1) + part.ravel()
            self.kind = np.unique(pair, return_inverse=True)[1].ravel()
        # The least of a kind's nearly equal shapes stands for all of them.
        self.shape = np.full((int(self.kind.max(initial=0)) + 1, self.n_devices), np.inf)
        np.minimum.at(self.shape, self.kind, shape)

    def of(self, inside: np.ndarray) -> float:
        """Least load of the busiest device if the chosen operators may be split, any stream."""
        return max(
            self._fractional(inside & (self.streams == s)) for s in np.unique(self.streams[inside])
        )

    def _fractional(self, some: np.ndarray) -> float:
        """Fractional minimum makespan on unrelated machines (Lawler and Labetoulle 1978)."""
        total = np.bincount(self.kind[some], self.weight[some], len(self.shape))
        present = np.flatnonzero(total > 0)
        if not len(present):
            return 0.0
        total, least, k = total[present], self.shape[present], self.n_devices
        if len(present) > KINDS_OF_WORK or (
            len(present) == 1 and bool(np.all(least == least[0, 0]))
        ):
            return float(total.sum()) / k
        rows = Rows()
        makespan = rows.variable(0.0, float(total.sum()), cost=1.0)
        busy: list[list[tuple[int, float]]] = [[(makespan, -1.0)] for _ in range(k)]
        for j in range(len(present)):
            row = []
            for device in np.flatnonzero(np.isfinite(least[j])).tolist():
                x = rows.variable(0.0, 1.0)
                row.append((x, -1.0))
                busy[device].append((x, float(total[j] * least[j, device])))
            rows.at_most(row, -1.0)
        for device_row in busy:
            rows.at_most(device_row, 0.0)
        return rows.bound()


def _largest_piece(problem: Problem) -> float:
    """Load of the largest operator or colocation group on one stream of its best device."""
    graph = problem.graph
    value = float(problem.durations.min(axis=1).max(initial=0.0))
    for group in range(len(graph.colocation_names)):
        for stream in range(len(graph.stream_names)):
            members = (graph.colocation == group) & (graph.stream == stream)
            if members.any():
                value = max(value, float(problem.durations[members].sum(axis=0).min()))
    return value


def _thresholds(values: FloatArray) -> list[float]:
    distinct = np.unique(values[np.isfinite(values)])
    picks = np.linspace(0, max(0, len(distinct) - 1), THRESHOLDS).astype(int)
    return sorted({float(distinct[i]) for i in picks}) if len(distinct) else []
