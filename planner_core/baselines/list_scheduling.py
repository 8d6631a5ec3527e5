"""List schedulers: operators in order of a priority, each where and when it does best.

``heft`` and ``cpop`` follow Topcuoglu, Hariri and Wu (2002), "Performance-effective and
low-complexity task scheduling for heterogeneous computing"; ``earliest_start`` follows Hwang,
Chow, Anger and Lee (1989), "Scheduling precedence graphs in systems with interprocessor
communication times" (ETF). They see durations, streams, transfer times, colocation and allowed
devices; queues on exclusive links and staged copies are added by the simulator afterwards, and
memory, where there are limits, by :mod:`planner_core.schedule.safe_order`.

Importing this module imports numba; do it where a schedule is wanted.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
from numba import njit

from planner_core.problem import NotApplicable, PlannerError, Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule import Schedule, simulate, validate
from planner_core.schedule.columns import (
    BoolArray,
    Columns,
    columns_of,
    move_time,
    overlapped_schedule,
)
from planner_core.schedule.safe_order import safe_schedule

MAX_GAPS = 256
"""Idle intervals remembered per stream for insertion; the oldest are forgotten first."""
EXHAUSTIVE_OPERATORS = 5_000
"""Above this, the schedulers that compare all ready operators at every step are left out."""


def heft(problem: Problem) -> Schedule:
    """Heterogeneous earliest finish time, with insertion.

    Returns
    -------
    Schedule
        Validated.

    Raises
    ------
    NotApplicable
        If no order of starts keeps the memory limits, or an operator cannot be reached.
    """
    columns = columns_of(problem)
    return _finish(problem, columns, *_heft(columns))


def cpop(problem: Problem) -> Schedule:
    """Critical path on one device: its operators share the device that runs them fastest.

    Raises
    ------
    NotApplicable
        As :func:`heft`.
    """
    columns = columns_of(problem)
    return _finish(problem, columns, *_cpop(columns))


def earliest_start(problem: Problem) -> Schedule:
    """Earliest task first: of all ready operators the one that can start first, anywhere.

    Raises
    ------
    NotApplicable
        As :func:`heft`.
    """
    columns = columns_of(problem)
    return _finish(problem, columns, *_etf(columns))


def one_device(problem: Problem) -> Schedule:
    """Run everything on the device that finishes first: no transfers at all.

    Raises
    ------
    NotApplicable
        If no device may run every operator, or as :func:`heft`.
    """
    columns = columns_of(problem)
    total = problem.durations.sum(axis=0)
    if not np.isfinite(total).any():
        raise NotApplicable("no device may run every operator; use more than one device")
    device = np.full(problem.graph.n_operators, int(np.argmin(total)), dtype=np.int32)
    rank = upward_rank(columns)
    order = _by_rank(columns, rank)
    return _finish(problem, columns, device, *_place(columns, order, device, False)[1:])


def list_schedules(problem: Problem) -> Iterator[tuple[str, Schedule]]:
    """Yield the schedules of every list scheduler that applies, each validated.

    Yields
    ------
    name : str
    schedule : Schedule
    """
    columns = columns_of(problem)
    methods = [("HEFT", _heft), ("CPOP", _cpop)]
    if problem.graph.n_operators <= EXHAUSTIVE_OPERATORS:
        methods.append(("earliest start", _etf))
    for name, method in methods:
        try:
            yield name, _finish(problem, columns, *method(columns))
        except PlannerError:
            continue
    if not problem.is_placed:
        try:
            yield "one device", one_device(problem)
        except PlannerError:
            return


def upward_rank(columns: Columns) -> FloatArray:
    """Mean longest path from an operator's start to the end, transfers included; shape (n,)."""
    return _upward_rank(columns, *_means(columns))


def _means(columns: Columns) -> tuple[FloatArray, float, float]:
    """Mean duration of each operator, mean latency and mean time per unit of the links."""
    table = columns.duration
    if table.shape[1] == 1:
        duration = table[:, 0]
    else:
        table = table[:, columns.column]
        allowed = np.isfinite(table)
        duration = np.where(allowed, table, 0.0).sum(axis=1) / allowed.sum(axis=1)
    linked = np.isfinite(columns.latency)
    np.fill_diagonal(linked, False)
    if not linked.any():
        return duration, 0.0, 0.0
    k = len(columns.latency)
    pairs = k * (k - 1) if linked.all() else int(linked.sum())
    return (
        np.ascontiguousarray(duration),
        float(columns.latency[linked].sum() / pairs),
        float(columns.per_unit[linked].sum() / pairs),
    )


def _by_rank(columns: Columns, rank: FloatArray) -> IntArray:
    """Operators by falling rank; equal ranks keep the topological order."""
    order = columns.topological
    return order[np.argsort(-rank[order], kind="stable")]


def _heft(columns: Columns) -> tuple[IntArray, FloatArray, FloatArray]:
    order = _by_rank(columns, upward_rank(columns))
    free = np.full(len(order), -1, dtype=np.int32)
    return _place(columns, order, free, True)


def _cpop(columns: Columns) -> tuple[IntArray, FloatArray, FloatArray]:
    means = _means(columns)
    up = _upward_rank(columns, *means)
    path = _critical_path(columns, up, *means[1:])
    total = columns.duration[:, columns.column][path].sum(axis=0)
    wanted = np.full(len(up), -1, dtype=np.int32)
    if np.isfinite(total).any():
        wanted[path] = int(np.argmin(total))
    order = _ready_order(columns, up + _downward_rank(columns, *means))
    return _place(columns, order, wanted, True)


def _etf(columns: Columns) -> tuple[IntArray, FloatArray, FloatArray]:
    return _earliest_start(columns, upward_rank(columns))


def _finish(
    problem: Problem, columns: Columns, device: IntArray, start: FloatArray, finish: FloatArray
) -> Schedule:
    """Add what the schedulers do not see, then validate."""
    graph, cluster = problem.graph, problem.cluster
    if not np.all(np.isfinite(finish)):
        o = int(np.flatnonzero(~np.isfinite(finish))[0])
        raise NotApplicable(
            f"the list scheduler found no device that operator '{graph.operator_ids[o]}' can be "
            "run on and reached from its inputs; add links or allow more devices"
        )
    schedule = overlapped_schedule(problem, device, start, finish)
    if cluster.staged or bool(cluster.exclusive.any()):
        schedule = simulate(problem, device, schedule.order(problem))
    violations = validate(problem, schedule)
    if any(v.rule == "memory" for v in violations):
        schedule = safe_schedule(problem, device, upward_rank(columns))
        violations = validate(problem, schedule)
    if violations:
        raise NotApplicable(f"the list scheduler's plan breaks a limit: {violations[0].message}")
    return schedule


@njit(nogil=True, cache=True)
def _upward_rank(c: Columns, mean: FloatArray, latency: float, per_unit: float) -> FloatArray:
    rank = mean.copy()
    for i in range(len(c.topological) - 1, -1, -1):
        o = c.topological[i]
        longest = 0.0
        for j in range(c.out_ptr[o], c.out_ptr[o + 1]):
            t = c.out_tensor[j]
            move = _mean_move(c, t, latency, per_unit)
            for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
                longest = max(longest, move + rank[c.use[u]])
        rank[o] += longest
    return rank


@njit(nogil=True, cache=True)
def _downward_rank(c: Columns, mean: FloatArray, latency: float, per_unit: float) -> FloatArray:
    """Mean longest path from the beginning to each operator's start."""
    rank = np.zeros(len(mean))
    for o in c.topological:
        for i in range(c.in_ptr[o], c.in_ptr[o + 1]):
            t = c.in_tensor[i]
            p = c.producer[t]
            rank[o] = max(rank[o], rank[p] + mean[p] + _mean_move(c, t, latency, per_unit))
    return rank


@njit(nogil=True, cache=True, inline="always")
def _mean_move(c: Columns, t: int, latency: float, per_unit: float) -> float:
    return latency + c.size[t] * per_unit if np.isnan(c.fixed[t]) else c.fixed[t]


@njit(nogil=True, cache=True)
def _ready_order(c: Columns, priority: FloatArray) -> IntArray:
    """Operators in the order that always takes the ready one of highest priority."""
    n = len(priority)
    waiting = c.in_ptr[1:] - c.in_ptr[:-1]
    heap: list[tuple[float, int | np.int64]] = [
        (-priority[o], o) for o in range(n) if waiting[o] == 0
    ]
    heapq.heapify(heap)
    order = np.empty(n, np.int32)
    for position in range(n):
        o = heapq.heappop(heap)[1]
        order[position] = o
        for i in range(c.out_ptr[o], c.out_ptr[o + 1]):
            t = c.out_tensor[i]
            for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
                consumer = np.int64(c.use[u])  # the heap holds one type
                waiting[consumer] -= 1
                if waiting[consumer] == 0:
                    heapq.heappush(heap, (-priority[consumer], consumer))
    return order


@njit(nogil=True, cache=True)
def _critical_path(c: Columns, rank: FloatArray, latency: float, per_unit: float) -> IntArray:
    """Walk the longest mean path, from the operator of highest upward rank."""
    n = len(rank)
    o = np.int64(np.argmax(rank))
    path = np.empty(n, np.int32)
    length = 0
    while o >= 0:
        path[length] = o
        length += 1
        best, longest = np.int64(-1), -1.0
        for j in range(c.out_ptr[o], c.out_ptr[o + 1]):
            t = c.out_tensor[j]
            for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
                behind = _mean_move(c, t, latency, per_unit) + rank[c.use[u]]
                if behind > longest:
                    best, longest = np.int64(c.use[u]), behind
        o = best
    return path[:length]


@njit(nogil=True, cache=True)
def _arrival(c: Columns, o: int, k: int, device: IntArray, finish: FloatArray) -> float:
    """When the last input of o is on device k."""
    ready = 0.0
    for i in range(c.in_ptr[o], c.in_ptr[o + 1]):
        t = c.in_tensor[i]
        p = c.producer[t]
        there = finish[p]
        if device[p] != k:
            there += move_time(c, t, device[p], k)
        ready = max(ready, there)
    return ready


@njit(nogil=True, cache=True)
def _footprint(c: Columns, o: int, held: BoolArray) -> float:
    """Memory a device needs to run o at all: new parameter groups, tensors in and out."""
    need = c.workspace[o]
    for i in range(c.parameter_ptr[o], c.parameter_ptr[o + 1]):
        if not held[c.parameter[i]]:
            need += c.parameter_size[c.parameter[i]]
    for i in range(c.in_ptr[o], c.in_ptr[o + 1]):
        need += c.size[c.in_tensor[i]]
    for i in range(c.out_ptr[o], c.out_ptr[o + 1]):
        need += c.size[c.out_tensor[i]]
    return need


@njit(nogil=True, cache=True)
def _place(
    c: Columns, order: IntArray, wanted: IntArray, insert: bool
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Place operators in order, each on its wanted device, else where it finishes first.

    ``insert`` lets an operator start in an idle interval its stream already has.
    """
    n, n_devices = len(order), len(c.column)
    device = np.full(n, -1, np.int32)
    start = np.zeros(n)
    finish = np.zeros(n)
    home = np.full(max(1, len(c.group_allowed)), -1, np.int32)
    free = np.zeros((n_devices, c.n_streams))
    gap_from = np.zeros((n_devices, c.n_streams, MAX_GAPS))
    gap_to = np.zeros((n_devices, c.n_streams, MAX_GAPS))
    gaps = np.zeros((n_devices, c.n_streams), np.int64)
    limited = bool(np.isfinite(c.memory).any())
    resident = np.zeros(n_devices)
    held = np.zeros((n_devices, len(c.parameter_size)), np.bool_)
    for o in order:
        s, g = c.stream[o], c.colocation[o]
        fixed = wanted[o]
        if g >= 0 and home[g] >= 0:
            fixed = home[g]
        best, best_finish, best_start, best_gap = -1, np.inf, np.inf, -1
        for k in range(n_devices):
            length = c.duration[o, c.column[k]]
            if np.isinf(length) or (fixed >= 0 and k != fixed):
                continue
            if g >= 0 and not c.group_allowed[g, k]:
                continue
            if limited and resident[k] + _footprint(c, o, held[k]) > c.memory[k]:
                continue
            ready = _arrival(c, o, k, device, finish)
            begin, chosen = max(ready, free[k, s]), -1
            if insert:
                low, high = 0, gaps[k, s]
                while low < high:
                    middle = (low + high) // 2
                    if gap_to[k, s, middle] < ready + length:
                        low = middle + 1
                    else:
                        high = middle
                for i in range(low, gaps[k, s]):
                    if max(ready, gap_from[k, s, i]) + length <= gap_to[k, s, i]:
                        begin, chosen = max(ready, gap_from[k, s, i]), i
                        break
            if begin + length < best_finish:
                best, best_finish, best_start, best_gap = k, begin + length, begin, chosen
        if best < 0:
            finish[o] = np.inf
            device[o] = 0
            continue
        device[o], start[o], finish[o] = best, best_start, best_finish
        if g >= 0:
            home[g] = best
        for i in range(c.parameter_ptr[o], c.parameter_ptr[o + 1]):
            if not held[best, c.parameter[i]]:
                held[best, c.parameter[i]] = True
                resident[best] += c.parameter_size[c.parameter[i]]
        starts, ends, count = gap_from[best, s], gap_to[best, s], gaps[best, s]
        if best_gap >= 0:
            old_end = ends[best_gap]
            ends[best_gap] = best_start
            position = best_gap + 1
            idle_from, idle_to = best_finish, old_end
        else:
            position = count
            idle_from, idle_to = free[best, s], best_start
            free[best, s] = best_finish
        if insert and idle_to > idle_from:
            if count == MAX_GAPS:  # forget the oldest
                for i in range(count - 1):
                    starts[i], ends[i] = starts[i + 1], ends[i + 1]
                count -= 1
                position = max(0, position - 1)
            for i in range(count, position, -1):
                starts[i], ends[i] = starts[i - 1], ends[i - 1]
            starts[position], ends[position] = idle_from, idle_to
            gaps[best, s] = count + 1
    return device, start, finish


@njit(nogil=True, cache=True)
def _earliest_start(c: Columns, rank: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    n, n_devices = len(rank), len(c.column)
    device = np.full(n, -1, np.int32)
    start = np.zeros(n)
    finish = np.full(n, np.inf)
    home = np.full(max(1, len(c.group_allowed)), -1, np.int32)
    free = np.zeros((n_devices, c.n_streams))
    arrival = np.full((n, n_devices), np.inf)
    waiting = c.in_ptr[1:] - c.in_ptr[:-1]
    ready = np.empty(n, np.int32)
    count = 0
    for o in range(n):
        if waiting[o] == 0:
            ready[count] = o
            arrival[o, :] = 0.0
            count += 1
    while count > 0:
        best, best_k, best_start = -1, -1, np.inf
        for i in range(count):
            o = ready[i]
            g = c.colocation[o]
            for k in range(n_devices):
                if np.isinf(c.duration[o, c.column[k]]):
                    continue
                if g >= 0 and (not c.group_allowed[g, k] or (home[g] >= 0 and home[g] != k)):
                    continue
                begin = max(arrival[o, k], free[k, c.stream[o]])
                better = begin < best_start
                if begin == best_start and best >= 0:
                    p = ready[best]
                    shorter = c.duration[o, c.column[k]] < c.duration[p, c.column[best_k]]
                    better = rank[o] > rank[p] or (o == p and shorter)
                if better:
                    best, best_k, best_start = i, k, begin
        if best < 0:
            break
        o = ready[best]
        count -= 1
        ready[best] = ready[count]
        device[o], start[o] = best_k, best_start
        finish[o] = best_start + c.duration[o, c.column[best_k]]
        free[best_k, c.stream[o]] = finish[o]
        if c.colocation[o] >= 0:
            home[c.colocation[o]] = best_k
        for j in range(c.out_ptr[o], c.out_ptr[o + 1]):
            t = c.out_tensor[j]
            for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
                consumer = c.use[u]
                waiting[consumer] -= 1
                if waiting[consumer] == 0:
                    for k in range(n_devices):
                        arrival[consumer, k] = _arrival(c, consumer, k, device, finish)
                    ready[count] = consumer
                    count += 1
    return device, start, finish
