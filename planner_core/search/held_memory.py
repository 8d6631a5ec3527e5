"""Memory that decoded times hold against the limits (problem-model rule 5), compiled.

Importing this module imports numba.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from planner_core.problem.graph import FloatArray, IntArray, PtrArray
from planner_core.schedule.columns import Columns, move_time
from planner_core.search.decoder import Times


def has_memory_limits(columns: Columns) -> bool:
    """Whether any device has a limit at all."""
    return bool(np.isfinite(columns.memory).any())


@njit(nogil=True, cache=True)
def fits_memory(c: Columns, device: IntArray, times: Times) -> bool:
    """Whether decoded times keep every memory limit."""
    return memory_excess(c, device, times, 0.0) == 0.0


@njit(nogil=True, cache=True)
def memory_excess(c: Columns, device: IntArray, times: Times, enough: float) -> float:
    """By how much decoded times exceed the memory limits; 0 if they keep them.

    Of every device the largest excess counts, and its mean over time beside it, both in units
    of the largest limit: the mean falls with every operator that leaves a crowded stretch, the
    largest excess only with the last of them. Ends early once the sum is above ``enough``.
    """
    n, n_devices, m = len(c.stream), len(c.memory), len(c.size)
    resident = np.zeros(n_devices)
    held = np.zeros((n_devices, len(c.parameter_size)), np.bool_)
    n_events = np.zeros(n_devices, np.int64)
    for o in range(n):
        k = device[o]
        for i in range(c.parameter_ptr[o], c.parameter_ptr[o + 1]):
            if not held[k, c.parameter[i]]:
                held[k, c.parameter[i]] = True
                resident[k] += c.parameter_size[c.parameter[i]]
        if c.workspace[o] > 0:
            n_events[k] += 2
    unit = 0.0
    for k in range(n_devices):
        if not np.isinf(c.memory[k]):
            unit = max(unit, c.memory[k])
    unit = unit if unit > 0 else 1.0
    excess = 0.0
    for k in range(n_devices):
        excess += max(0.0, resident[k] - c.memory[k]) / unit
    if excess > enough:
        return excess
    for t in range(m):
        if c.size[t] > 0:
            n_events[device[c.producer[t]]] += 2
            for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
                n_events[device[c.use[u]]] += 2
    first = np.zeros(n_devices + 1, np.int64)
    for k in range(n_devices):
        first[k + 1] = first[k] + n_events[k]
    when = np.empty(first[-1])
    change = np.empty(first[-1])
    fill = first[:-1].copy()
    span = times.finish.max()
    tolerance = 1e-9 * span
    last = np.zeros(n_devices)
    for o in range(n):
        if c.workspace[o] > 0:
            _hold(
                device[o],
                times.start[o],
                times.finish[o],
                c.workspace[o],
                tolerance,
                fill,
                when,
                change,
            )
    for t in range(m):
        if c.size[t] > 0:
            _hold_tensor(c, t, device, times, tolerance, last, fill, when, change)
    excess = 0.0
    for k in range(n_devices):
        limit = c.memory[k]
        if np.isinf(limit):
            continue
        begin = first[k]
        order = np.argsort(when[begin : fill[k]], kind="mergesort")
        used, most, area = resident[k], max(0.0, resident[k] - limit), 0.0
        for i in range(len(order)):
            at = begin + order[i]
            used += change[at]
            # Instants within the tolerance of each other are one.
            until = when[begin + order[i + 1]] if i + 1 < len(order) else span
            if used > limit and (until - when[at] > tolerance or i + 1 == len(order)):
                most = max(most, used - limit)
                area += (used - limit) * max(0.0, min(until, span) - when[at])
        excess += (most + area / max(span, 1e-300)) / unit
        if excess > enough:
            return excess
    return excess


@njit(nogil=True, cache=True)
def _hold(
    k: int,
    begin: float,
    end: float,
    size: float,
    tolerance: float,
    fill: PtrArray,
    when: FloatArray,
    change: FloatArray,
) -> None:
    if end - begin <= tolerance:
        return
    when[fill[k]], change[fill[k]] = begin, size
    when[fill[k] + 1], change[fill[k] + 1] = end - tolerance, -size
    fill[k] += 2


@njit(nogil=True, cache=True)
def _hold_tensor(
    c: Columns,
    t: int,
    device: IntArray,
    times: Times,
    tolerance: float,
    last: FloatArray,
    fill: PtrArray,
    when: FloatArray,
    change: FloatArray,
) -> None:
    """Add what one tensor takes on its producer's and its consumers' devices."""
    p = c.producer[t]
    home = device[p]
    queued = len(times.move_start) > 0
    released = times.finish[p] if c.use_ptr[t] == c.use_ptr[t + 1] else 0.0
    for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
        last[device[c.use[u]]] = 0.0
    for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
        o = c.use[u]
        last[device[o]] = max(last[device[o]], times.finish[o])
    for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
        k = device[c.use[u]]
        if last[k] < 0:
            continue  # this device is done
        if k == home:
            released = max(released, last[k])
        else:
            begin = times.finish[p]
            arrival = begin
            if queued:
                begin, arrival = times.move_start[t, k], times.move_finish[t, k]
            else:
                arrival += move_time(c, t, home, k)
            released = max(released, arrival)
            _hold(k, begin, last[k], c.size[t], tolerance, fill, when, change)
        last[k] = -1.0
    if c.output[t]:
        released = np.inf
    _hold(home, times.start[p], released, c.size[t], tolerance, fill, when, change)
