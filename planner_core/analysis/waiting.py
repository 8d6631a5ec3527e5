"""What each operator of a schedule waits for: its inputs and the operator before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule import Schedule


@dataclass(frozen=True, eq=False, kw_only=True)
class Waiting:
    """For every operator what it needs before it can start.

    Parameters
    ----------
    arrival : float array, shape (e,)
        When each edge's tensor is at its consumer, in the order of ``graph.edge_target``.
    previous, next : int arrays, shape (n,)
        Operator before and after on the same stream; −1 for none.
    ready : float array, shape (n,)
        When the last input is there; 0 without inputs.
    last_input : int array, shape (n,)
        Producer of the input that arrives last; −1 without inputs.
    tolerance : float
        Times closer than this are equal.
    """

    arrival: FloatArray
    previous: IntArray
    next: IntArray
    ready: FloatArray
    last_input: IntArray
    tolerance: float


def waiting(problem: Problem, schedule: Schedule) -> Waiting:
    """Return what every operator of a schedule waits for."""
    graph, device = problem.graph, schedule.device
    n = graph.n_operators
    listed = {
        (int(t), int(k)): float(finish)
        for t, k, finish in zip(
            schedule.transfers.tensor,
            schedule.transfers.target,
            schedule.transfers.finish,
            strict=True,
        )
    }
    source, target = graph.edge_source, graph.edge_target
    arrival = schedule.finish[source].astype(float)
    for e in np.flatnonzero(device[source] != device[target]).tolist():
        tensor, k = int(graph.edge_tensor[e]), int(device[target[e]])
        sent = arrival[e] + problem.transfer_time(tensor, int(device[source[e]]), k)
        arrival[e] = listed.get((tensor, k), sent)
    ready = np.zeros(n)
    np.maximum.at(ready, target, arrival)
    last_input = np.full(n, -1, dtype=np.int32)
    latest = np.flatnonzero(arrival >= ready[target])
    last_input[target[latest]] = source[latest]
    previous = np.full(n, -1, dtype=np.int32)
    following = np.full(n, -1, dtype=np.int32)
    order = np.lexsort((schedule.finish, schedule.start, graph.stream, device))
    same = (device[order][1:] == device[order][:-1]) & (
        graph.stream[order][1:] == graph.stream[order][:-1]
    )
    previous[order[1:][same]] = order[:-1][same]
    following[order[:-1][same]] = order[1:][same]
    return Waiting(
        arrival=arrival,
        previous=previous,
        next=following,
        ready=ready,
        last_input=last_input,
        tolerance=RELATIVE_TOLERANCE * schedule.makespan,
    )
