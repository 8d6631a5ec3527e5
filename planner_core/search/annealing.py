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

CRITICAL = 0.3
"""Share of the moves that start at an operator of a critical path (whole graphs only)."""

NEAR = 0.5
"""Share of the changes of device that try a producer's or a consumer's."""

REACH = 40
"""How far a move carries an operator along the sequence, at most."""


class Window(NamedTuple):
    """Positions low … high − 1 of the sequence.

    Parameters
    ----------
    low, high : int
    free : float array, shape (K, S)
        When each stream is free at ``low``.
    tail : float array, shape (n,)
        Longest path from the start of each operator behind the window to the end.
    stream_tail : float array, shape (K, S)
        Longest path from each stream being free at ``high`` to the end.
    """

    low: int
    high: int
    free: FloatArray
    tail: FloatArray
    stream_tail: FloatArray


@njit(nogil=True, cache=True, inline="always")
def draw(state: NDArray[np.uint64]) -> float:
    """Next pseudo-random number in [0, 1) (xorshift64*, Vigna 2016)."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return ((x * np.uint64(2685821657736338717)) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


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
    leaves: bool,
) -> tuple[float, float]:
    """Longest path through the window, and the mean over the streams (breaks plateaus)."""
    longest = 0.0
    if len(times.move_start) > 0:
        longest = decode(c, sequence, device, times)
    else:
        times.free[:] = window.free
        for p in range(window.low, window.high):
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
def _carry(sequence: IntArray, position: IntArray, a: int, b: int) -> None:
    """Carry the operator at a to b; those between step aside."""
    o = sequence[a]
    step = 1 if b > a else -1
    for p in range(a, b, step):
        sequence[p] = sequence[p + step]
        position[sequence[p]] = p
    sequence[b] = o
    position[o] = b


@njit(nogil=True, cache=True)
def _span(c: Columns, o: int, position: IntArray, low: int, high: int) -> tuple[int, int]:
    """First and last position o may take between its producers and its consumers."""
    for i in range(c.in_ptr[o], c.in_ptr[o + 1]):
        low = max(low, position[c.producer[c.in_tensor[i]]] + 1)
    for i in range(c.out_ptr[o], c.out_ptr[o + 1]):
        t = c.out_tensor[i]
        for u in range(c.use_ptr[t], c.use_ptr[t + 1]):
            high = min(high, position[c.use[u]])
    return low, high - 1


@njit(nogil=True, cache=True)
def _allowed(
    c: Columns,
    o: int,
    k: int,
    member_ptr: IntArray,
    position: IntArray,
    member: IntArray,
    low: int,
    high: int,
) -> bool:
    """Whether o may move to device k, with its colocation group all inside the window."""
    if np.isinf(c.duration[o, c.column[k]]):
        return False
    g = c.colocation[o]
    if g < 0:
        return True
    if not c.group_allowed[g, k]:
        return False
    for i in range(member_ptr[g], member_ptr[g + 1]):
        if position[member[i]] < low or position[member[i]] >= high:
            return False
    return True


@njit(nogil=True, cache=True)
def _settle(
    c: Columns, o: int, k: int, device: IntArray, member_ptr: IntArray, member: IntArray
) -> None:
    """Put o, and its colocation group with it, on device k."""
    device[o] = k
    g = c.colocation[o]
    if g >= 0:
        for i in range(member_ptr[g], member_ptr[g + 1]):
            device[member[i]] = k


@njit(nogil=True, cache=True)
def _critical(
    c: Columns, sequence: IntArray, device: IntArray, times: Times, path: IntArray
) -> int:
    """Write the operators of one critical path, the last first; return how many."""
    o = np.int64(np.argmax(times.finish))
    path[0] = o
    count = 1
    for p in range(len(sequence) - 1, -1, -1):
        v = sequence[p]
        if v == o:
            continue
        begin = times.start[o]
        close = 1e-9 * (1.0 + begin)
        tight = False
        if device[v] == device[o]:
            tight = c.stream[v] == c.stream[o] and abs(times.finish[v] - begin) <= close
        if not tight:
            for i in range(c.in_ptr[o], c.in_ptr[o + 1]):
                t = c.in_tensor[i]
                if c.producer[t] == v:
                    there = times.finish[v]
                    if device[v] != device[o]:
                        there += move_time(c, t, device[v], device[o])
                    tight = abs(there - begin) <= close
        if tight:
            o = np.int64(v)
            path[count] = o
            count += 1
    return count


@njit(nogil=True, cache=True)
def _near(c: Columns, o: int, device: IntArray, state: NDArray[np.uint64]) -> int:
    """Device of a random producer or consumer of o; its own if it has none."""
    ins, outs = c.in_ptr[o + 1] - c.in_ptr[o], c.out_ptr[o + 1] - c.out_ptr[o]
    if ins + outs == 0:
        return device[o]
    i = int(draw(state) * (ins + outs))
    if i < ins:
        return device[c.producer[c.in_tensor[c.in_ptr[o] + i]]]
    t = c.out_tensor[c.out_ptr[o] + i - ins]
    uses = c.use_ptr[t + 1] - c.use_ptr[t]
    if uses == 0:
        return device[o]
    return device[c.use[c.use_ptr[t] + int(draw(state) * uses)]]


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
    member_ptr, member = members
    leaves = high < len(sequence)
    longest, mean = _evaluate(c, sequence, position, device, times, window, leaves)
    energy = longest + 0.05 * mean
    best, best_energy = longest, energy
    for p in range(low, high):
        best_sequence[p] = sequence[p]
        best_device[sequence[p]] = device[sequence[p]]
    cooling = (cold / hot) ** (1.0 / max(1, moves))
    temperature = hot
    whole = low == 0 and not leaves
    path = np.empty(len(sequence) if whole else 1, np.int32)
    critical = _critical(c, sequence, device, times, path) if whole else 0
    for _ in range(moves):
        temperature *= cooling
        a = low + int(draw(state) * (high - low))
        if critical > 0 and draw(state) < CRITICAL:
            a = position[path[int(draw(state) * critical)]]
        o = sequence[a]
        b, old, k = a, device[o], device[o]
        what = draw(state)
        if what < 0.7:
            first, last = _span(c, o, position, max(low, a - REACH), min(high, a + REACH))
            b = first + int(draw(state) * (last - first + 1))
        if (what > 0.5 or b == a) and n_devices > 1:
            k = _near(c, o, device, state) if draw(state) < NEAR else old
            if k == old:
                k = int(draw(state) * (n_devices - 1))
                k += k >= old
            if not _allowed(c, o, k, member_ptr, position, member, low, high):
                k = old
        if b == a and k == old:
            continue
        if k != old:
            _settle(c, o, k, device, member_ptr, member)
        if b != a:
            _carry(sequence, position, a, b)
        longest, mean = _evaluate(c, sequence, position, device, times, window, leaves)
        then = longest + 0.05 * mean
        enter = then <= energy or draw(state) < np.exp((energy - then) / temperature)
        if enter and (not limited or fits_memory(c, device, times)):
            energy = then
            if whole:
                critical = _critical(c, sequence, device, times, path)
            if longest < best or (longest == best and then < best_energy):
                best, best_energy = longest, then
                for p in range(low, high):
                    best_sequence[p] = sequence[p]
                    best_device[sequence[p]] = device[sequence[p]]
            continue
        if b != a:
            _carry(sequence, position, b, a)
        if k != old:
            _settle(c, o, old, device, member_ptr, member)
    longest, mean = _evaluate(c, sequence, position, device, times, window, leaves)
    return longest, best
