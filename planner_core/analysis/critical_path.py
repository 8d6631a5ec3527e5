"""Chains of operators that wait for each other: why a schedule takes as long as it does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from planner_core.analysis.waiting import Waiting, waiting
from planner_core.problem import Problem
from planner_core.schedule import Schedule


def critical_path(problem: Problem, schedule: Schedule, through: int | None = None) -> list[int]:
    """Return a chain of operators in which each starts when the one before lets it, or after.

    Parameters
    ----------
    problem : Problem
    schedule : Schedule
    through : int, optional
        Operator the chain must contain; default the one that finishes last.

    Returns
    -------
    list of int
        In order of time. Successive operators are joined by a tensor or by their stream, and of
        what an operator waits for the chain takes what lets go last. If it starts later still
        (memory was full, or the schedule chose so) there is :func:`slack` on the chain.
    """
    if problem.graph.n_operators == 0:
        return []
    facts = waiting(problem, schedule)
    middle = int(np.argmax(schedule.finish)) if through is None else through
    path = [middle]
    while (before := _binding(facts, schedule, path[0])) is not None and before not in path:
        path.insert(0, before)
    while (after := _bound(problem, facts, schedule, path[-1])) is not None and after not in path:
        path.append(after)
    return path


def slack(problem: Problem, schedule: Schedule, path: list[int]) -> float:
    """Time on a critical path in which nothing that the next operator needs is under way."""
    facts = waiting(problem, schedule)
    total = 0.0
    for before, o in pairwise(path):
        free = schedule.finish[before] if before == facts.previous[o] else facts.ready[o]
        total += max(0.0, float(schedule.start[o] - free))
    return total if total > facts.tolerance else 0.0


def waits_for(problem: Problem, schedule: Schedule, operator: int) -> list[int]:
    """Producers of an operator's inputs, the last to arrive first."""
    graph = problem.graph
    facts = waiting(problem, schedule)
    ptr, edges = graph.in_edges
    mine = edges[ptr[operator] : ptr[operator + 1]]
    by_arrival = mine[np.argsort(-facts.arrival[mine], kind="stable")]
    return list(dict.fromkeys(graph.edge_source[by_arrival].tolist()))


def waited_for_by(problem: Problem, schedule: Schedule, operator: int) -> list[int]:
    """Consumers of an operator's outputs, the first to start first."""
    graph = problem.graph
    ptr, edges = graph.out_edges
    targets = graph.edge_target[edges[ptr[operator] : ptr[operator + 1]]]
    by_start = targets[np.argsort(schedule.start[targets], kind="stable")]
    return list(dict.fromkeys(by_start.tolist()))


def _binding(facts: Waiting, schedule: Schedule, o: int) -> int | None:
    """Operator that lets o start last: its last input or the one before on its stream."""
    producer, before = int(facts.last_input[o]), int(facts.previous[o])
    if before < 0 or (
        producer >= 0 and facts.ready[o] >= schedule.finish[before] - facts.tolerance
    ):
        return producer if producer >= 0 else None
    return before


def _bound(problem: Problem, facts: Waiting, schedule: Schedule, o: int) -> int | None:
    """Operator that starts no earlier because of o; of several the one that ends last."""
    graph = problem.graph
    ptr, edges = graph.out_edges
    mine = edges[ptr[o] : ptr[o + 1]]
    targets = graph.edge_target[mine]
    tight = targets[facts.arrival[mine] >= schedule.start[targets] - facts.tolerance].tolist()
    after = int(facts.next[o])
    if after >= 0 and schedule.start[after] <= schedule.finish[o] + facts.tolerance:
        tight.append(after)
    return max(tight, key=lambda target: schedule.finish[target], default=None)
