"""Bounds that hold whatever alternative every operator takes."""

from __future__ import annotations

import numpy as np

from planner_core.bounds.bound import Bound
from planner_core.bounds.measures import (
    makespan_bound,
    peak_memory_bound,
    period_bound,
    transfer_bound,
)
from planner_core.problem import Problem
from planner_core.problem.alternatives import SplitProblem
from planner_core.schedule import micro_batch_count

_LEAST = {
    "makespan": makespan_bound,
    "period": period_bound,
    "peak_memory": peak_memory_bound,
    "transfer": transfer_bound,
}


def measure_bound(problem: Problem) -> Bound:
    """Return the best lower bound on the measure that a problem minimises first."""
    return _LEAST[problem.objective.primary](problem)


def split_bound(split: SplitProblem) -> Bound:
    """Return a lower bound, over all choices, on the measure that the problem minimises first.

    The bound of :meth:`SplitProblem.least`, and the least work: every operator takes at least
    shards × duration of its least way, and the devices share what all take.
    """
    problem, graph = split.problem, split.problem.template
    best = measure_bound(split.least())
    best = Bound(best.value, f"{best.name}, least of all alternatives")
    name = problem.objective.primary
    if name not in ("makespan", "period"):
        return best
    work = np.array(
        [
            min(
                (way.shards * float(split.durations(o, way).min()) for way in split.ways(o)),
                default=np.inf,
            )
            for o in range(graph.n_operators)
        ]
    )
    busy = np.bincount(graph.stream, weights=work).max(initial=0.0) / problem.n_devices
    busy = busy * problem.micro_batches if name == "makespan" else busy / micro_batch_count(problem)
    least = Bound(float(busy), "least work of any alternative over devices")
    return max(best, least, key=lambda bound: bound.value)
