"""Bound from clusterings: of each pair of clusters that exchange a tensor, together or apart.

Clusters (colocation groups, at first) that are together share a device and wait for each other;
those apart pay for every tensor between them. For a makespan that is asked for, each undecided pair
is tried both ways: where one way is too long, the other is a fact, and where both are, no schedule
is so short. The number of devices and what loads them with other work are not seen, nor are memory
and queues, so the bound is one for whatever cluster of devices there is (edge zeroing: Sarkar
1989; probing both sides: shaving, Martin and Shmoys 1996).

Importing this module imports numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.bounds.machines import jackson
from planner_core.milp.free_grid import least_delays
from planner_core.problem import Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule.columns import group_rows

SLACK = 1e-11
"""A path counts as too long only if it is longer than asked for by more than rounding; far less
than the difference between an incumbent and what is better."""

BoolArray = NDArray[np.bool_]


class Side(NamedTuple):
    """The graph seen from the front, or from the back with all arcs turned round.

    Parameters
    ----------
    order : int array, shape (n,)
        Topological.
    ptr, to : int arrays, shapes (n + 1,), (edges,)
    lag : float array, shape (edges,)
        Least time between finish and start if producer and consumer are apart.
    before : bool array, shape (n, n)
        Whether the second operator comes before the first in every schedule.
    """

    order: IntArray
    ptr: IntArray
    to: IntArray
    lag: FloatArray
    before: BoolArray


class Relaxation(NamedTuple):
    """What clusterings know of a problem.

    Parameters
    ----------
    front, back : Side
    duration : float array, shape (n,)
        Least over the allowed devices.
    stream : int array, shape (n,)
    n_streams : int
    """

    front: Side
    back: Side
    duration: FloatArray
    stream: IntArray
    n_streams: int


class Clustering(NamedTuple):
    """A partial clustering.

    Parameters
    ----------
    cluster : int array, shape (n,)
        Number of each operator's cluster, below C.
    apart : bool array, shape (C, C)
        Pairs that are on different devices.
    allowed : bool array, shape (C, K)
        Devices on which a whole cluster may be.
    """

    cluster: IntArray
    apart: BoolArray
    allowed: BoolArray

    def copy(self) -> Clustering:
        """Return a copy that shares nothing."""
        return Clustering(self.cluster.copy(), self.apart.copy(), self.allowed.copy())


class Room(NamedTuple):
    """Room for heads and tails, for the operators of each machine by rising head, and for one."""

    head: FloatArray
    tail: FloatArray
    row: IntArray
    filled: IntArray
    machine: FloatArray


def relax(problem: Problem) -> tuple[Relaxation, Clustering]:
    """Return what clusterings need to know, and the clustering in which little is decided.

    Colocation groups, and operators with one and the same allowed device, are together; clusters
    that share no allowed device are apart.
    """
    graph, n = problem.graph, problem.graph.n_operators
    can = np.isfinite(problem.durations)
    delay = least_delays(problem)
    delay[:, np.eye(problem.n_devices, dtype=bool)] = np.inf
    source, target = graph.edge_source, graph.edge_target
    pairs = can[source][:, :, None] & can[target][:, None, :]
    lag = np.where(pairs, delay[graph.edge_tensor], np.inf).min(axis=(1, 2), initial=np.inf)
    front = _side(graph.topological_order, source, target, lag)
    back = _side(graph.topological_order[::-1], target, source, lag)
    relaxation = Relaxation(
        front,
        back._replace(before=np.ascontiguousarray(front.before.T)),
        problem.durations.min(axis=1),
        graph.stream.astype(np.int32),
        len(graph.stream_names),
    )
    return relaxation, _undecided(problem, can, n)


def _undecided(problem: Problem, can: BoolArray, n: int) -> Clustering:
    number: dict[tuple[str, int], int] = {}
    cluster = np.empty(n, np.int32)
    allowed: list[BoolArray] = []
    # A group's devices are those that all of it may use, so it may be tied to one device, too.
    group = problem.graph.colocation
    for g in range(len(problem.graph.colocation_names)):
        can[group == g] &= can[group == g].all(axis=0)
    for o in range(n):
        key = ("operator", o) if group[o] < 0 else ("group", int(group[o]))
        if np.count_nonzero(can[o]) == 1:
            key = ("device", int(np.argmax(can[o])))
        cluster[o] = number.setdefault(key, len(number))
        if cluster[o] == len(allowed):
            allowed.append(can[o])
    devices = np.array(allowed, dtype=bool).reshape(len(allowed), problem.n_devices)
    apart = ~(devices.astype(np.int32) @ devices.T.astype(np.int32)).astype(bool)
    np.fill_diagonal(apart, False)
    return Clustering(cluster, apart, devices)


def _side(order: IntArray, source: IntArray, target: IntArray, lag: FloatArray) -> Side:
    n = len(order)
    ptr, edge = group_rows(source, np.arange(len(source), dtype=np.int32), n)
    to = target[edge].astype(np.int32)
    before = np.zeros((n, n), dtype=bool)
    for v in order.tolist():
        for w in to[ptr[v] : ptr[v + 1]].tolist():
            before[w] |= before[v]
            before[w, v] = True
    return Side(order.astype(np.int32), ptr, to, lag[edge], before)


@njit(nogil=True, cache=True)
def propagate(r: Relaxation, clustering: Clustering, makespan: float, branch: IntArray) -> int:
    """Decide pairs as long as one of both ways is too long for a makespan.

    Parameters
    ----------
    r : Relaxation
    clustering : Clustering
        Changed in place.
    makespan : float
    branch : int array, shape (2,)
        Gets the clusters that are best decided next.

    Returns
    -------
    int
        −1 if no schedule is so short, 1 if all pairs are decided, 0 if ``branch`` is open.
    """
    n, c = len(r.duration), clustering.apart.shape[0]
    shape = (c * r.n_streams, n)
    row, filled, machine = np.empty(shape, np.int32), np.zeros(shape[0], np.int32), np.empty((3, n))
    room = Room(np.zeros(n), np.zeros(n), row, filled, machine)
    other = Room(np.zeros(n), np.zeros(n), row, filled, machine)
    if _too_long(r, clustering, makespan, room):
        return -1
    base = _total(room)
    trial = Clustering(
        np.empty(n, np.int32),
        np.empty((c, c), np.bool_),
        np.empty(clustering.allowed.shape, np.bool_),
    )
    changed, best = True, -1.0
    while changed:
        changed, best = False, -1.0
        for v in range(n):
            for e in range(r.front.ptr[v], r.front.ptr[v + 1]):
                a, b = clustering.cluster[v], clustering.cluster[r.front.to[e]]
                if a == b or clustering.apart[a, b]:
                    continue
                set_apart(clustering, a, b, True)
                no_apart = _too_long(r, clustering, makespan, room)
                set_apart(clustering, a, b, False)
                _copy(clustering, trial)
                no_together = not put_together(trial, a, b) or _too_long(r, trial, makespan, other)
                if no_apart and no_together:
                    return -1
                if no_apart:
                    _copy(trial, clustering)
                    base, changed = _total(other), True
                elif no_together:
                    set_apart(clustering, a, b, True)
                    base, changed = _total(room), True
                else:
                    # Branch where both ways make paths much longer.
                    one = _total(room) - base
                    two = _total(other) - base
                    score = 10.0 * min(one, two) + max(one, two)
                    if score > best:
                        best, branch[0], branch[1] = score, a, b
    return 1 if best < 0 else 0


@njit(nogil=True, cache=True)
def set_apart(clustering: Clustering, a: int, b: int, apart: bool) -> None:
    """Decide, or leave open, that two clusters are on different devices."""
    clustering.apart[a, b] = apart
    clustering.apart[b, a] = apart


@njit(nogil=True, cache=True)
def put_together(clustering: Clustering, a: int, b: int) -> bool:
    """Make one cluster of two; return whether a device is left that both may use."""
    cluster, apart, allowed = clustering.cluster, clustering.apart, clustering.allowed
    for v in range(len(cluster)):
        if cluster[v] == b:
            cluster[v] = a
    some = False
    for k in range(allowed.shape[1]):
        allowed[a, k] &= allowed[b, k]
        some |= allowed[a, k]
    for x in range(len(apart)):
        if apart[b, x]:
            apart[a, x] = True
            apart[x, a] = True
    return some


@njit(nogil=True, cache=True)
def _too_long(r: Relaxation, clustering: Clustering, makespan: float, room: Room) -> bool:
    """Whether a path, or the work of a cluster, is longer than a makespan."""
    limit = makespan * (1.0 + SLACK)
    n, head, tail = len(r.duration), room.head, room.tail
    _heads(r, r.front, clustering, head, room)
    for v in range(n):
        if head[v] + r.duration[v] > limit:
            return True
    _heads(r, r.back, clustering, tail, room)
    for v in range(n):
        if head[v] + r.duration[v] + tail[v] > limit:
            return True
    for machine in range(len(room.filled)):
        count = room.filled[machine]
        if count >= 2 and _machine(r, room, machine, count) > limit:
            return True
    return False


@njit(nogil=True, cache=True)
def _machine(r: Relaxation, room: Room, machine: int, count: int) -> float:
    """Makespan of the preemptive relaxation of one machine; its row is sorted by rising head.

    Written out rather than with ``np.argsort``, whose compilation takes seconds.
    """
    one, sorted_ = room.row[machine], room.machine
    for i in range(1, count):
        v, j = one[i], i
        while j > 0 and room.head[one[j - 1]] > room.head[v]:
            one[j] = one[j - 1]
            j -= 1
        one[j] = v
    for i in range(count):
        v = one[i]
        sorted_[0, i], sorted_[1, i], sorted_[2, i] = room.head[v], r.duration[v], room.tail[v]
    return jackson(sorted_[0, :count], sorted_[1, :count], sorted_[2, :count])


@njit(nogil=True, cache=True)
def _copy(source: Clustering, target: Clustering) -> None:
    """Copy a clustering; slices would be copied by code that takes seconds to compile."""
    for v in range(len(source.cluster)):
        target.cluster[v] = source.cluster[v]
    for a in range(source.apart.shape[0]):
        for b in range(source.apart.shape[1]):
            target.apart[a, b] = source.apart[a, b]
        for k in range(source.allowed.shape[1]):
            target.allowed[a, k] = source.allowed[a, k]


@njit(nogil=True, cache=True)
def _total(room: Room) -> float:
    """Sum of heads and tails."""
    total = 0.0
    for v in range(len(room.head)):
        total += room.head[v] + room.tail[v]
    return total


@njit(nogil=True, cache=True)
def _heads(r: Relaxation, side: Side, clustering: Clustering, head: FloatArray, room: Room) -> None:
    """Write when operators can start at the earliest; those of a machine follow each other."""
    cluster, apart, row, filled = clustering.cluster, clustering.apart, room.row, room.filled
    for v in range(len(head)):
        head[v] = 0.0
    for machine in range(len(filled)):
        filled[machine] = 0
    for v in side.order:
        machine = cluster[v] * r.n_streams + r.stream[v]
        count, ready = filled[machine], 0.0
        for i in range(count):
            u = row[machine, i]
            if side.before[v, u]:
                ready = max(ready, head[u]) + r.duration[u]
        head[v] = max(head[v], ready)
        while count > 0 and head[row[machine, count - 1]] > head[v]:
            row[machine, count] = row[machine, count - 1]
            count -= 1
        row[machine, count] = v
        filled[machine] += 1
        finish = head[v] + r.duration[v]
        for e in range(side.ptr[v], side.ptr[v + 1]):
            w = side.to[e]
            lag = side.lag[e] if apart[cluster[v], cluster[w]] else 0.0
            head[w] = max(head[w], finish + lag)
