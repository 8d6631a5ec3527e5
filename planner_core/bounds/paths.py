"""Heads and tails: longest paths to every start and from every finish.

Importing this module imports numba.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from planner_core.problem import Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule.columns import Columns, columns_of, group_rows, move_time
from planner_core.schedule.tasks import Tasks, compile_tasks

PAIR_WORK = 3e8
"""Up to this many (edge, device, device) triples, heads are kept per device."""


@dataclass(frozen=True, eq=False)
class Network:
    """Tasks with their heads and tails.

    Parameters
    ----------
    head, duration, tail : float arrays, shape (T,)
        Earliest start, (least) duration, least time from the finish to the end.
    resource : int array, shape (T,)
        Unary resource of each task; −1 where the device is not fixed.
    through : float
        Longest path: the critical path bound.
    tasks : Tasks or None
        The compiled tasks if every device is fixed.
    """

    head: FloatArray
    duration: FloatArray
    tail: FloatArray
    resource: IntArray
    through: float
    tasks: Tasks | None


def network_of(problem: Problem) -> Network:
    """Return a problem's tasks with heads and tails."""
    return _placed(problem) if problem.is_placed else _free(problem)


def heads_and_tails(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Return the head and the tail of every operator.

    Returns
    -------
    head, tail : float arrays, shape (n,)
        No schedule starts the operator before ``head``, and from its finish to the end at
        least ``tail`` passes.
    """
    network, n = network_of(problem), problem.graph.n_operators
    return network.head[:n], network.tail[:n]


def _placed(problem: Problem) -> Network:
    tasks = compile_tasks(problem, problem.fixed_device)
    order = task_order(tasks)
    head, tail = _longest(
        order,
        *group_rows(tasks.arc_from, np.arange(len(tasks.arc_from), dtype=np.int32), tasks.n_tasks),
        tasks.arc_to,
        tasks.arc_lag,
        tasks.duration,
    )
    # What is moved at the very end also takes its time: it arrives at a consumer, hence an arc.
    through = float(np.max(head + tasks.duration + tail, initial=0.0))
    return Network(head, tasks.duration, tail, tasks.resource, through, tasks)


def task_order(tasks: Tasks) -> IntArray:
    """Tasks in topological order; int32, shape (T,)."""
    arcs = np.arange(len(tasks.arc_from), dtype=np.int32)
    ptr, out = group_rows(tasks.arc_from, arcs, tasks.n_tasks)
    return _order(ptr, out, tasks.arc_to)


@njit(nogil=True, cache=True)
def _order(ptr: IntArray, out: IntArray, to: IntArray) -> IntArray:
    n = len(ptr) - 1
    waiting = np.zeros(n, np.int32)
    for target in to:
        waiting[target] += 1
    order = np.empty(n, np.int32)
    count = 0
    for v in range(n):
        if waiting[v] == 0:
            order[count] = v
            count += 1
    done = 0
    while done < count:
        v = order[done]
        done += 1
        for i in range(ptr[v], ptr[v + 1]):
            w = to[out[i]]
            waiting[w] -= 1
            if waiting[w] == 0:
                order[count] = w
                count += 1
    return order[:count]


@njit(nogil=True, cache=True)
def _longest(
    order: IntArray,
    ptr: IntArray,
    out: IntArray,
    to: IntArray,
    lag: FloatArray,
    duration: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    head = np.zeros(len(duration))
    tail = np.zeros(len(duration))
    for v in order:
        finish = head[v] + duration[v]
        for i in range(ptr[v], ptr[v + 1]):
            a = out[i]
            head[to[a]] = max(head[to[a]], finish + lag[a])
    for v in order[::-1]:
        for i in range(ptr[v], ptr[v + 1]):
            a = out[i]
            tail[v] = max(tail[v], lag[a] + duration[to[a]] + tail[to[a]])
    return head, tail


def _free(problem: Problem) -> Network:
    graph, k = problem.graph, problem.n_devices
    columns = columns_of(problem)
    per_device = len(graph.edge_tensor) * k * k <= PAIR_WORK
    head, tail = device_paths(columns, k, per_device)
    durations = np.asarray(problem.durations)
    through = np.where(np.isfinite(durations), head + durations + tail, np.inf).min(axis=1)
    fixed = problem.fixed_device.astype(np.int64)
    streams = len(graph.stream_names)
    return Network(
        head=head.min(axis=1),
        duration=durations.min(axis=1),
        tail=tail.min(axis=1),
        resource=np.where(fixed >= 0, fixed * streams + graph.stream, -1).astype(np.int32),
        through=float(np.max(through, initial=0.0)),
        tasks=None,
    )


@njit(nogil=True, cache=True)
def _elapsed(c: Columns, t: int, a: int, b: int, coupled: bool) -> float:
    """Least time between the finish on a and the start on b; inf where b is impossible."""
    if a == b:
        return 0.0
    if coupled:
        return np.inf
    time = move_time(c, t, a, b)
    if c.staged and not np.isinf(time):
        # A copy out of the sender, then a copy in at the receiver; hosts pay nothing.
        return time * ((0 if c.host[a] else 1) + (0 if c.host[b] else 1))
    return time


@njit(nogil=True, cache=True)
def device_paths(c: Columns, k: int, per_device: bool) -> tuple[FloatArray, FloatArray]:
    """Heads and tails given the operator's own device, shape (n, K); inf where not allowed.

    Producer and consumer each take the best device for this one edge; without ``per_device``
    they meet on one device for nothing.
    """
    n = len(c.stream)
    head = np.zeros((n, k))
    tail = np.zeros((n, k))
    for o in c.topological:
        for i in range(c.in_ptr[o], c.in_ptr[o + 1]):
            t = c.in_tensor[i]
            p = c.producer[t]
            coupled = c.colocation[o] >= 0 and c.colocation[o] == c.colocation[p]
            least = np.inf
            for a in range(k):
                least = min(least, head[p, a] + c.duration[p, c.column[a]])
            for b in range(k):
                best = least
                if per_device:
                    best = np.inf
                    for a in range(k):
                        finish = head[p, a] + c.duration[p, c.column[a]]
                        if finish < best:
                            best = min(best, finish + _elapsed(c, t, a, b, coupled))
                head[o, b] = max(head[o, b], best)
        for b in range(k):
            if np.isinf(c.duration[o, c.column[b]]):
                head[o, b] = np.inf
    for o in c.topological[::-1]:
        for i in range(c.out_ptr[o], c.out_ptr[o + 1]):
            t = c.out_tensor[i]
            for e in range(c.use_ptr[t], c.use_ptr[t + 1]):
                q = c.use[e]
                coupled = c.colocation[o] >= 0 and c.colocation[o] == c.colocation[q]
                least = np.inf
                for b in range(k):
                    least = min(least, tail[q, b] + c.duration[q, c.column[b]])
                for a in range(k):
                    best = least
                    if per_device:
                        best = np.inf
                        for b in range(k):
                            rest = tail[q, b] + c.duration[q, c.column[b]]
                            if rest < best:
                                best = min(best, rest + _elapsed(c, t, a, b, coupled))
                    tail[o, a] = max(tail[o, a], best)
        for a in range(k):
            if np.isinf(c.duration[o, c.column[a]]):
                tail[o, a] = np.inf
    return head, tail
