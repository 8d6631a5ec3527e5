"""Simulated annealing over (topological sequence, device) inside a window, compiled.

A window is a stretch of the sequence. What lies before it is timed and stays; what lies behind
it enters through exact tails: the longest path from an operator's start, or from a stream being
free, to the end. A window over everything is plain annealing.

Importing this module imports numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule.columns import Columns, move_time
from planner_core.search.decoder import Times, decode, fits_memory, place
from planner_core.search.moves import LARGEST_PART, Window, critical_path, draw, propose, take_back

CRITICAL = 0.3
"""Share of the moves that start at an operator of a critical path (whole graphs only)."""

STEP = 8
"""Positions between two marks from which decoding can go on."""

FRESH = 4
"""Moves entered before the critical path is looked for anew."""


class Marks(NamedTuple):
    """Where decoding can go on: row i is for position low + ``STEP`` · i.

    Parameters
    ----------
    free : float array, shape (rows, K, S)
        When each stream is free there.
    longest : float array, shape (rows,)
        Longest path to an operator behind the window through those in front of the row.
    """

    free: FloatArray
    longest: FloatArray


@njit(nogil=True, cache=True)
def tails(
    c: Columns, sequence: IntArray, device: IntArray, step: int
) -> tuple[FloatArray, FloatArray]:
    """Longest path from each operator's start, and from each stream at every step-th position.

    Returns
    -------
    tail : float array, shape (n,)
    stream_tail : float array, shape (n // step + 2, K, S)
        Row i: from the streams being free at position i · step.
    """
    n = len(sequence)
    tail = np.zeros(n)
    now = np.zeros((len(c.column), c.n_streams))
    stream_tail = np.zeros((n // step + 2, len(c.column), c.n_streams))
    for position in range(n - 1, -1, -1):
        o = sequence[position]
        k, s = device[o], c.stream[o]
        longest = now[k, s]
        for i in range(c.out_ptr[o], c.out_ptr[o + 1]):
            t = c.out_tensor[i]
            for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
                v = c.use[u]
                move = 0.0 if device[v] == k else move_time(c, t, k, device[v])
                longest = max(longest, move + tail[v])
        tail[o] = longest + c.duration[o, c.column[k]]
        now[k, s] = tail[o]
        if position % step == 0:
            stream_tail[position // step] = now
    return tail, stream_tail


@njit(nogil=True, cache=True)
def advance(
    c: Columns, sequence: IntArray, device: IntArray, times: Times, low: int, high: int
) -> None:
    """Time the operators at positions low … high − 1 after those before them."""
    for position in range(low, high):
        place(c, sequence[position], device, times)


@njit(nogil=True, cache=True)
def _evaluate(
    c: Columns,
    sequence: IntArray,
    position: IntArray,
    device: IntArray,
    times: Times,
    window: Window,
    first: int,
    kept: Marks,
    marks: Marks,
) -> tuple[float, float]:
    """Longest path through the window, and the mean over the streams (breaks plateaus).

    Times in front of ``first`` are right already, and the rows of ``kept`` up to there; later
    rows of ``marks`` are filled in.
    """
    leaves = window.high < len(sequence)
    longest = 0.0
    if len(times.move_start) > 0:
        longest = decode(c, sequence, device, times)
    else:
        row = (first - window.low) // STEP
        times.free[:] = kept.free[row]
        longest = kept.longest[row]
        marks.free[row], marks.longest[row] = times.free, longest
        for p in range(window.low + row * STEP, window.high):
            if (p - window.low) % STEP == 0:
                row = (p - window.low) // STEP
                marks.free[row], marks.longest[row] = times.free, longest
            o = sequence[p]
            end = place(c, o, device, times)
            if leaves:
                longest = max(longest, _leaving(c, o, device, end, position, window))
    total = 0.0
    for k in range(len(c.column)):
        for s in range(c.n_streams):
            through = times.free[k, s] + window.stream_tail[k, s]
            longest = max(longest, through)
            total += through
    return longest, total / (len(c.column) * c.n_streams)


@njit(nogil=True, cache=True)
def _leaving(
    c: Columns, o: int, device: IntArray, end: float, position: IntArray, window: Window
) -> float:
    """Longest path through o to an operator behind the window."""
    longest = 0.0
    for i in range(c.out_ptr[o], c.out_ptr[o + 1]):
        t = c.out_tensor[i]
        for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
            v = c.use[u]
            if position[v] < window.high:
                continue
            move = 0.0 if device[v] == device[o] else move_time(c, t, device[o], device[v])
            longest = max(longest, end + move + window.tail[v])
    return longest


@njit(nogil=True, cache=True)
def anneal_window(
    c: Columns,
    sequence: IntArray,
    position: IntArray,
    device: IntArray,
    times: Times,
    window: Window,
    members: tuple[IntArray, IntArray],
    hot: float,
    cold: float,
    moves: int,
    limited: bool,
    state: NDArray[np.uint64],
    best_sequence: IntArray,
    best_device: IntArray,
) -> tuple[float, float]:
    """Anneal from temperature ``hot`` to ``cold``; sequence, position and device end as they are.

    The best of the window goes to ``best_sequence`` and ``best_device`` (positions of the window
    and devices of its operators only). Returns the longest path through the window at the end
    and of the best; with ``limited`` only schedules that keep the memory limits are entered.
    """
    low, high = window.low, window.high
    n_devices = len(c.column)
    rows = (high - low) // STEP + 1
    shape = (rows, n_devices, c.n_streams)
    kept, marks = Marks(np.zeros(shape), np.zeros(rows)), Marks(np.zeros(shape), np.zeros(rows))
    kept.free[0] = window.free
    start, finish = np.zeros(high - low), np.zeros(high - low)
    part, move = np.empty(LARGEST_PART, np.int32), np.zeros(5, np.int64)
    longest, mean = _evaluate(c, sequence, position, device, times, window, low, kept, marks)
    _keep(sequence, times, window, low, kept, marks, start, finish)
    energy = longest + 0.05 * mean
    best, best_energy = longest, energy
    for p in range(low, high):
        best_sequence[p] = sequence[p]
        best_device[sequence[p]] = device[sequence[p]]
    cooling = (cold / hot) ** (1.0 / max(1, moves))
    temperature = hot
    whole = low == 0 and high == len(sequence)
    path = np.empty(len(sequence) if whole else 1, np.int32)
    critical = critical_path(c, sequence, device, times, path) if whole else 0
    entered = 0
    for _ in range(moves):
        temperature *= cooling
        a = low + int(draw(state) * (high - low))
        if critical > 0 and draw(state) < CRITICAL:
            a = position[path[int(draw(state) * critical)]]
        first = propose(c, a, sequence, position, device, window, members, move, part, state)
        if first < 0:
            continue
        longest, mean = _evaluate(c, sequence, position, device, times, window, first, kept, marks)
        then = longest + 0.05 * mean
        enter = then <= energy or draw(state) < np.exp((energy - then) / temperature)
        if enter and (not limited or fits_memory(c, device, times)):
            energy = then
            _keep(sequence, times, window, first, kept, marks, start, finish)
            entered += 1
            if whole and entered % FRESH == 0:
                critical = critical_path(c, sequence, device, times, path)
            if longest < best or (longest == best and then < best_energy):
                best, best_energy = longest, then
                for p in range(low, high):
                    best_sequence[p] = sequence[p]
                    best_device[sequence[p]] = device[sequence[p]]
            continue
        take_back(c, sequence, position, device, members, move, part)
        for p in range(_row_start(window, first), high):
            times.start[sequence[p]] = start[p - low]
            times.finish[sequence[p]] = finish[p - low]
    longest, mean = _evaluate(c, sequence, position, device, times, window, low, kept, marks)
    return longest, best


@njit(nogil=True, cache=True, inline="always")
def _row_start(window: Window, first: int) -> int:
    """Position of the last mark up to ``first``."""
    return first - (first - window.low) % STEP


@njit(nogil=True, cache=True)
def _keep(
    sequence: IntArray,
    times: Times,
    window: Window,
    first: int,
    kept: Marks,
    marks: Marks,
    start: FloatArray,
    finish: FloatArray,
) -> None:
    """Keep times and marks from ``first`` on."""
    begin = _row_start(window, first)
    for p in range(begin, window.high):
        start[p - window.low] = times.start[sequence[p]]
        finish[p - window.low] = times.finish[sequence[p]]
    for row in range((begin - window.low) // STEP + 1, len(kept.longest)):
        kept.free[row], kept.longest[row] = marks.free[row], marks.longest[row]
