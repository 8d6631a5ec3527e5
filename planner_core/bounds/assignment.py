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
    value = 0.0
    for r, q in product(_thresholds(head), _thresholds(tail)):
        inside = (head >= r) & (tail >= q)
        if inside.any():
            value = max(value, r + q + spread_work(problem, inside))
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
    work = Bound(spread_work(problem, everything) / count, "work over devices")
    return max(whole, work, key=lambda bound: bound.value)


def spread_work(problem: Problem, inside: np.ndarray) -> float:
    """Least load of the busiest device if the chosen operators may be split, any stream."""
    streams = problem.graph.stream
    return max(
        _fractional(np.asarray(problem.durations)[inside & (streams == s)])
        for s in np.unique(streams[inside])
    )


def _fractional(durations: FloatArray) -> float:
    """Fractional minimum makespan on unrelated machines (Lawler and Labetoulle 1978)."""
    shortest = durations.min(axis=1)
    some = shortest > 0
    if not some.any():
        return 0.0
    shape, weight = durations[some] / shortest[some, None], shortest[some]
    _, kind = np.unique(np.round(shape, 9), axis=0, return_inverse=True)
    kind = kind.ravel()
    n_kinds, k = int(kind.max()) + 1, durations.shape[1]
    if n_kinds > KINDS_OF_WORK:
        return float(weight.sum()) / k
    # The least of a kind's nearly equal shapes stands for all of them.
    least = np.full((n_kinds, k), np.inf)
    np.minimum.at(least, kind, shape)
    total = np.bincount(kind, weights=weight)
    if n_kinds == 1 and np.all(least == least[0, 0]):
        return float(total[0]) / k
    rows = Rows()
    makespan = rows.variable(0.0, float(total.sum()), cost=1.0)
    busy: list[list[tuple[int, float]]] = [[(makespan, -1.0)] for _ in range(k)]
    for j in range(n_kinds):
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
