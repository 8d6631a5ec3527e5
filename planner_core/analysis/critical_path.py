"""Chains of operators without slack between them: why a schedule takes as long as it does."""

from __future__ import annotations

import numpy as np

from planner_core.analysis.waiting import Waiting, waiting
from planner_core.problem import Problem
from planner_core.schedule import Schedule


def critical_path(problem: Problem, schedule: Schedule, through: int | None = None) -> list[int]:
    """Return a chain of operators in which each starts the moment the one before lets it.

    Parameters
    ----------
    problem : Problem
    schedule : Schedule
    through : int, optional
        Operator the chain must contain; default the one that finishes last.

    Returns
    -------
    list of int
        In order of time. Successive operators are joined by a tensor or by their stream. The
        chain begins where an operator waits for nothing (time 0, or a release of memory, or a
        choice of the schedule).
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
    """Operator that makes o start no earlier: the last input, else the stream."""
    start = schedule.start[o]
    if facts.last_input[o] >= 0 and facts.ready[o] >= start - facts.tolerance:
        return int(facts.last_input[o])
    before = int(facts.previous[o])
    if before >= 0 and schedule.finish[before] >= start - facts.tolerance:
        return before
    return None


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
