"""Schedules in milliseconds without compiled code, so that a search never begins with nothing.

The list scheduler is HEFT without insertion (Topcuoglu, Hariri and Wu 2002): operators by falling
upward rank, each on the device where it finishes first. Compiled list schedulers are better and
take seconds to compile on a fresh machine.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from planner_core.problem import InputError, Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule import Schedule, simulate

INTERPRETED_OPERATORS = 2_000
"""Up to here plain Python takes well under a second."""


def first_schedules(problem: Problem) -> Iterator[tuple[str, Schedule]]:
    """Yield schedules that keep every rule but, perhaps, memory limits.

    Nothing for graphs of more than :data:`INTERPRETED_OPERATORS` operators.

    Yields
    ------
    name : str
    schedule : Schedule
    """
    if problem.graph.n_operators > INTERPRETED_OPERATORS:
        return
    order = _by_rank(problem)
    devices = [("earliest finish", _earliest_finish(problem, order))]
    if not problem.is_placed:
        whole = np.flatnonzero(np.isfinite(problem.durations).all(axis=0))
        devices += [("one device", np.full(len(order), k, dtype=np.int32)) for k in whole]
    for name, device in devices:
        if device is None:
            continue
        rows: list[list[int]] = [[] for _ in range(problem.n_devices)]
        for o in order:
            rows[device[o]].append(o)
        try:
            yield name, simulate(problem, device, rows)
        except InputError:
            continue  # no link where one is needed


def _by_rank(problem: Problem) -> list[int]:
    """Operators by falling mean longest path to the end; producers before consumers."""
    graph, cluster = problem.graph, problem.cluster
    allowed = np.isfinite(problem.durations)
    mean = np.where(allowed, problem.durations, 0.0).sum(axis=1) / allowed.sum(axis=1)
    linked = cluster.has_link & ~np.eye(problem.n_devices, dtype=bool)
    latency = float(cluster.latency[linked].mean()) if linked.any() else 0.0
    per_unit = float((1 / cluster.bandwidth[linked]).mean()) if linked.any() else 0.0
    move = np.where(np.isnan(graph.transfer), latency + graph.size * per_unit, graph.transfer)
    rank: FloatArray = mean.copy()
    ptr, edges = graph.out_edges
    topological = graph.topological_order
    for o in topological[::-1].tolist():
        out = edges[ptr[o] : ptr[o + 1]]
        if len(out):
            rank[o] += float((move[graph.edge_tensor[out]] + rank[graph.edge_target[out]]).max())
    position = np.empty(len(rank), dtype=np.int64)
    position[topological] = np.arange(len(rank))
    return np.lexsort((position, -rank)).tolist()


def _earliest_finish(problem: Problem, order: list[int]) -> IntArray | None:
    """Device of every operator; None if some operator has none that its inputs reach."""
    graph, durations = problem.graph, problem.durations
    allowed = np.isfinite(durations)
    for group in range(len(graph.colocation_names)):
        members = graph.colocation == group
        allowed[members] = allowed[members].all(axis=0)
    device: IntArray = np.full(len(order), -1, dtype=np.int32)
    finish = np.zeros(len(order))
    free = np.zeros((problem.n_devices, len(graph.stream_names)))
    home: dict[int, int] = {}
    ptr, edges = graph.in_edges
    for o in order:
        group, stream = int(graph.colocation[o]), int(graph.stream[o])
        best, best_finish = -1, np.inf
        for k in [home[group]] if group in home else np.flatnonzero(allowed[o]).tolist():
            ready = float(free[k, stream])
            for e in edges[ptr[o] : ptr[o + 1]].tolist():
                p = int(graph.edge_source[e])
                there = float(finish[p])
                if device[p] != k:
                    there += problem.transfer_time(int(graph.edge_tensor[e]), int(device[p]), k)
                ready = max(ready, there)
            if ready + durations[o, k] < best_finish:
                best, best_finish = k, ready + float(durations[o, k])
        if best < 0:
            return None
        device[o], finish[o] = best, best_finish
        free[best, stream] = best_finish
        if group >= 0:
            home[group] = best
    return device
