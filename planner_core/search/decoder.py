"""From (topological sequence, device of every operator) to times: one linear pass, compiled.

Operators are taken in sequence; each starts when its stream is free and its inputs are there.
Every copy that excludes others joins its queue when its turn comes: transfers on exclusive
links and copies out of a device behind the producer, copies into a device before the consumer.

Importing this module imports numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from planner_core.problem import Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule import Schedule, Transfers
from planner_core.schedule.columns import Columns, move_time, overlapped_schedule


class Times(NamedTuple):
    """What decoding fills in.

    Parameters
    ----------
    start, finish : float arrays, shape (n,)
    free : float array, shape (K, S)
        When each stream has done its last operator.
    link_free : float array, shape (K, K)
    move_start, move_finish : float arrays, shape (m, K)
        Transfer of each tensor to each device; shape (0, K) unless copies queue.
    """

    start: FloatArray
    finish: FloatArray
    free: FloatArray
    link_free: FloatArray
    move_start: FloatArray
    move_finish: FloatArray


def queues(columns: Columns) -> bool:
    """Whether copies wait for each other: exclusive links or staged transfers."""
    return columns.staged or bool(columns.exclusive.any())


def empty_times(columns: Columns) -> Times:
    """Return room for the times of one problem."""
    n, k = len(columns.stream), len(columns.column)
    rows = len(columns.size) if queues(columns) else 0
    return Times(
        start=np.zeros(n),
        finish=np.zeros(n),
        free=np.zeros((k, columns.n_streams)),
        link_free=np.zeros((k, k)),
        move_start=np.zeros((rows, k)),
        move_finish=np.zeros((rows, k)),
    )


@njit(nogil=True, cache=True)
def decode(c: Columns, sequence: IntArray, device: IntArray, times: Times) -> float:
    """Fill in all times; return the makespan."""
    queued = len(times.move_start) > 0
    times.free[:] = 0.0
    times.link_free[:] = 0.0
    makespan = 0.0
    for o in sequence:
        end = _place_queued(c, o, device, times) if queued else place(c, o, device, times)
        makespan = max(makespan, end)
    return makespan


@njit(nogil=True, cache=True, inline="always")
def place(c: Columns, o: int, device: IntArray, times: Times) -> float:
    """Start one operator as early as its stream and its inputs allow; return its finish."""
    k, s = device[o], c.stream[o]
    begin = times.free[k, s]
    for i in range(c.in_ptr[o], c.in_ptr[o + 1]):
        t = c.in_tensor[i]
        p = c.producer[t]
        there = times.finish[p]
        if device[p] != k:
            there += move_time(c, t, device[p], k)
        begin = max(begin, there)
    end = begin + c.duration[o, c.column[k]]
    times.start[o] = begin
    times.finish[o] = end
    times.free[k, s] = end
    return end


@njit(nogil=True, cache=True)
def _place_queued(c: Columns, o: int, device: IntArray, times: Times) -> float:
    k, s = device[o], c.stream[o]
    begin = 0.0
    for i in range(c.in_ptr[o], c.in_ptr[o + 1]):
        t = c.in_tensor[i]
        home = device[c.producer[t]]
        if home == k:
            begin = max(begin, times.finish[c.producer[t]])
            continue
        if np.isnan(times.move_finish[t, k]):  # sent, not yet copied in
            copied = max(times.free[k, 0], times.move_start[t, home])
            times.free[k, 0] = copied + move_time(c, t, home, k)
            times.move_finish[t, k] = times.free[k, 0]
            if c.host[home]:
                times.move_start[t, k] = copied
        begin = max(begin, times.move_finish[t, k])
    begin = max(begin, times.free[k, s])
    end = begin + c.duration[o, c.column[k]]
    times.start[o] = begin
    times.finish[o] = end
    times.free[k, s] = end
    for i in range(c.out_ptr[o], c.out_ptr[o + 1]):
        _send(c, c.out_tensor[i], k, end, device, times)
    return end


@njit(nogil=True, cache=True)
def _send(c: Columns, t: int, home: int, made: float, device: IntArray, times: Times) -> None:
    """Queue what leaves the producer's device; ``move_start[t, home]`` is when it has left."""
    slowest = 0.0
    crosses = False
    for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
        k = device[c.use[u]]
        if k != home:
            crosses = True
            slowest = max(slowest, move_time(c, t, home, k))
            times.move_start[t, k] = -1.0
    if not crosses:
        return
    left = made
    if c.staged and not c.host[home]:
        left = max(made, times.free[home, 0])
        times.free[home, 0] = left + slowest
    for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
        k = device[c.use[u]]
        if k == home or times.move_start[t, k] >= 0:
            continue
        time = move_time(c, t, home, k)
        times.move_start[t, k] = left
        if c.staged:
            arrived = left if c.host[home] else left + slowest
            times.move_finish[t, k] = arrived if c.host[k] else np.nan
        elif c.exclusive[home, k]:
            times.move_start[t, k] = max(left, times.link_free[home, k])
            times.move_finish[t, k] = times.move_start[t, k] + time
            times.link_free[home, k] = times.move_finish[t, k]
        else:
            times.move_finish[t, k] = left + time
    if c.staged:
        times.move_start[t, home] = left if c.host[home] else left + slowest


def decisions_of(columns: Columns, schedule: Schedule) -> tuple[IntArray, IntArray]:
    """Return sequence and devices of a schedule."""
    rank = np.empty(len(schedule.start), dtype=np.int64)
    rank[columns.topological] = np.arange(len(rank))
    order = np.lexsort((rank, schedule.finish, schedule.start)).astype(np.int32)
    return order, schedule.device.astype(np.int32)


def schedule_of(problem: Problem, columns: Columns, device: IntArray, times: Times) -> Schedule:
    """Return decoded times as a schedule."""
    start, finish = times.start.copy(), times.finish.copy()
    plain = overlapped_schedule(problem, device.copy(), start, finish)
    if not queues(columns):
        return plain
    rows = plain.transfers
    t, k = rows.tensor, rows.target
    return Schedule(
        device=plain.device,
        start=start,
        finish=finish,
        transfers=Transfers(
            tensor=t,
            source=rows.source,
            target=k,
            start=times.move_start[t, k],
            finish=times.move_finish[t, k],
        ),
    )
