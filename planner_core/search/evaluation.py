"""What a move does to the longest path through a window, told early where it is too long.

Every position has what lies before it (times) and what lies behind it (exact tails: the longest
path from an operator's start, or from a stream being free, to the end). A move changes a stretch
of the sequence; with the tails behind that stretch, the longest path through it is known before
anything behind is timed. Almost all moves that are refused are refused there (heads and tails:
Balas 1969; Taillard 1994).

Importing this module imports numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule.columns import Columns, move_time
from planner_core.search.decoder import Times, decode, place
from planner_core.search.moves import Window

STEP = 2
"""Positions between two marks: there it is kept what lies before and behind."""

SPREAD = 0.1
"""Weight of the mean over the streams in the energy: it breaks plateaus of the longest path."""


class Kept(NamedTuple):
    """The decisions entered last: times, tails, and marks. Of operators only the window's.

    Row i of the marks is for position low + ``STEP`` · i, the last one for the window's end.

    Parameters
    ----------
    start, finish : float arrays, shape (n,)
    tail : float array, shape (n,)
        Longest path from an operator's start; behind the window it is given.
    free : float array, shape (rows, K, S)
        When each stream is free there.
    longest : float array, shape (rows,)
        Longest path to an operator behind the window through those in front of the mark.
    floor : float array, shape (1,)
        Least the mean over the streams adds to the energy, whatever the devices.
    behind : float array, shape (rows, K, S)
        Longest path from each stream being free there.
    work : float array, shape (rows,)
        What the streams do from there on, added up.
    """

    start: FloatArray
    finish: FloatArray
    tail: FloatArray
    free: FloatArray
    longest: FloatArray
    floor: FloatArray
    behind: FloatArray
    work: FloatArray


@njit(nogil=True, cache=True)
def nothing_kept(c: Columns, sequence: IntArray, window: Window, room: Times) -> Kept:
    """Room for what is kept of a window.

    Nothing as long as the graph is made here, there are many windows: times go to ``room``, and
    the window's tails are overwritten inside the window.
    """
    rows = (window.high - window.low + STEP - 1) // STEP + 1
    shape = (rows, len(c.column), c.n_streams)
    kept = Kept(
        room.start,
        room.finish,
        window.tail,
        np.zeros(shape),
        np.zeros(rows),
        np.zeros(1),
        np.zeros(shape),
        np.zeros(rows),
    )
    kept.free[0] = window.free
    kept.behind[rows - 1] = window.stream_tail
    kept.work[rows - 1] = window.stream_tail.sum()
    least = window.free.sum() + window.stream_tail.sum()
    for p in range(window.low, window.high):
        least += c.duration[sequence[p]].min()
    kept.floor[0] = SPREAD * least / window.free.size
    return kept


@njit(nogil=True, cache=True)
def fill_tails(
    c: Columns,
    sequence: IntArray,
    device: IntArray,
    low: int,
    high: int,
    step: int,
    now: FloatArray,
    tail: FloatArray,
    rows: FloatArray,
) -> None:
    """Tails of the operators at positions high − 1 … low, and of the streams at every step.

    ``now`` says what the streams' tails are at ``high``, and changes; row i of ``rows`` is for
    position low + i · step.
    """
    for position in range(high - 1, low - 1, -1):
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
        if (position - low) % step == 0:
            rows[(position - low) // step] = now


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
    fill_tails(c, sequence, device, 0, n, step, now, tail, stream_tail)
    return tail, stream_tail


@njit(nogil=True, cache=True)
def _leaving(
    c: Columns,
    o: int,
    device: IntArray,
    end: float,
    position: IntArray,
    border: int,
    tail: FloatArray,
) -> float:
    """Longest path through o to an operator at ``border`` or behind it."""
    longest = 0.0
    for i in range(c.out_ptr[o], c.out_ptr[o + 1]):
        t = c.out_tensor[i]
        for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
            v = c.use[u]
            if position[v] < border:
                continue
            move = 0.0 if device[v] == device[o] else move_time(c, t, device[o], device[v])
            longest = max(longest, end + move + tail[v])
    return longest


@njit(nogil=True, cache=True)
def evaluate(
    c: Columns,
    sequence: IntArray,
    position: IntArray,
    device: IntArray,
    times: Times,
    window: Window,
    first: int,
    last: int,
    kept: Kept,
    threshold: float,
) -> tuple[float, float, int]:
    """Longest path through the window, its energy, and up to where operators were timed.

    Positions in front of ``first`` and behind ``last`` are as they were kept. The energy is inf
    as soon as it is known to be above ``threshold``.
    """
    low, high = window.low, window.high
    if len(times.move_start) > 0:
        longest = decode(c, sequence, device, times)
        return longest, longest + SPREAD * times.free.mean(), high
    row = (first - low) // STEP
    stop = min(len(kept.work) - 1, (last - low) // STEP + 1)
    border = min(high, low + stop * STEP)
    leaves = high < len(sequence)
    n_devices = len(c.column)
    times.free[:] = kept.free[row]
    longest, through, most = kept.longest[row], 0.0, threshold - kept.floor[0]
    for p in range(low + row * STEP, border):
        o = sequence[p]
        end = place(c, o, device, times)
        if leaves:
            longest = max(longest, _leaving(c, o, device, end, position, high, kept.tail))
        if border < high:
            through = max(through, _leaving(c, o, device, end, position, border, kept.tail))
            if through > most:
                return np.inf, np.inf, p + 1
    total = 0.0
    for k in range(n_devices):
        for s in range(c.n_streams):
            through = max(through, times.free[k, s] + kept.behind[stop, k, s])
            total += times.free[k, s]
    size = n_devices * c.n_streams
    least = max(longest, through) + SPREAD * (total + kept.work[stop]) / size
    if least > threshold:
        return np.inf, np.inf, border
    for p in range(border, high):
        o = sequence[p]
        end = place(c, o, device, times)
        if leaves:
            longest = max(longest, _leaving(c, o, device, end, position, high, kept.tail))
    total = 0.0
    for k in range(n_devices):
        for s in range(c.n_streams):
            through = times.free[k, s] + window.stream_tail[k, s]
            longest = max(longest, through)
            total += through
    return longest, longest + SPREAD * total / size, high


@njit(nogil=True, cache=True)
def keep(
    c: Columns,
    sequence: IntArray,
    position: IntArray,
    device: IntArray,
    times: Times,
    window: Window,
    first: int,
    last: int,
    kept: Kept,
) -> None:
    """Keep what :func:`evaluate` has timed to the end: positions first … last are new."""
    low, high = window.low, window.high
    if len(times.move_start) > 0:
        kept.start[:], kept.finish[:] = times.start, times.finish
        return
    begin = first - (first - low) % STEP
    for p in range(begin, high):
        kept.start[sequence[p]] = times.start[sequence[p]]
        kept.finish[sequence[p]] = times.finish[sequence[p]]
    _mark_front(c, sequence, position, device, window, begin, high, kept)
    stop = min(len(kept.work) - 1, (last - low) // STEP + 1)
    border = min(high, low + stop * STEP)
    now = kept.behind[stop].copy()
    fill_tails(c, sequence, device, low, border, STEP, now, kept.tail, kept.behind)
    _mark_work(c, sequence, device, window, low, border, kept)


@njit(nogil=True, cache=True)
def slide(
    c: Columns,
    sequence: IntArray,
    position: IntArray,
    device: IntArray,
    window: Window,
    first: int,
    last: int,
    kept: Kept,
) -> None:
    """Keep a carry that changed no time (:func:`slides`): marks from first to last are new."""
    low, high = window.low, window.high
    begin = first - (first - low) % STEP
    stop = min(len(kept.work) - 1, (last - low) // STEP + 1)
    border = min(high, low + stop * STEP)
    _mark_front(c, sequence, position, device, window, begin, border, kept)
    now = kept.behind[stop].copy()
    for p in range(border - 1, begin, -1):
        o = sequence[p]
        now[device[o], c.stream[o]] = kept.tail[o]
        if (p - low) % STEP == 0:
            kept.behind[(p - low) // STEP] = now
    _mark_work(c, sequence, device, window, begin + 1, border, kept)


@njit(nogil=True, cache=True)
def slides(c: Columns, sequence: IntArray, device: IntArray, a: int, b: int) -> bool:
    """Whether an operator carried from a to b has passed none of its stream: no time changes."""
    o = sequence[b]
    step = 1 if b > a else -1
    for p in range(a, b, step):
        v = sequence[p]
        if device[v] == device[o] and c.stream[v] == c.stream[o]:
            return False
    return True


@njit(nogil=True, cache=True)
def _mark_front(
    c: Columns,
    sequence: IntArray,
    position: IntArray,
    device: IntArray,
    window: Window,
    begin: int,
    end: int,
    kept: Kept,
) -> None:
    """Marks behind ``begin`` and in front of ``end``, of what lies before them."""
    low, high = window.low, window.high
    leaves = high < len(sequence)
    row = (begin - low) // STEP
    free, longest = kept.free[row].copy(), kept.longest[row]
    for p in range(begin, end):
        if (p - low) % STEP == 0:
            row = (p - low) // STEP
            kept.free[row], kept.longest[row] = free, longest
        o = sequence[p]
        free[device[o], c.stream[o]] = kept.finish[o]
        if leaves:
            end_of = kept.finish[o]
            longest = max(longest, _leaving(c, o, device, end_of, position, high, kept.tail))


@njit(nogil=True, cache=True)
def _mark_work(
    c: Columns,
    sequence: IntArray,
    device: IntArray,
    window: Window,
    begin: int,
    end: int,
    kept: Kept,
) -> None:
    """Work behind the marks from ``begin`` up to the mark at ``end``, which is right."""
    low = window.low
    work = kept.work[(end - low + STEP - 1) // STEP]
    for p in range(end - 1, begin - 1, -1):
        o = sequence[p]
        work += c.duration[o, c.column[device[o]]]
        if (p - low) % STEP == 0:
            kept.work[(p - low) // STEP] = work
