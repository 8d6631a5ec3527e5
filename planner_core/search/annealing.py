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

TOGETHER = 0.5
"""Share of the changes of device that take a connected part of the old device along.

Where transfers are slow, an operator gains nothing by moving alone: what it exchanges tensors
with has to come along.
"""

GROW, LARGEST_PART = 0.75, 12
"""Chance that the part grows by one more operator or colocation group, and its largest size."""

STEP = 8
"""Positions between two marks from which decoding can go on."""

FRESH = 4
"""Moves entered before the critical path is looked for anew."""


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
def _neighbour(c: Columns, o: int, state: NDArray[np.uint64]) -> int:
    """A random producer or consumer of o; o itself if it has none."""
    ins, outs = c.in_ptr[o + 1] - c.in_ptr[o], c.out_ptr[o + 1] - c.out_ptr[o]
    if ins + outs == 0:
        return o
    i = int(draw(state) * (ins + outs))
    if i < ins:
        return c.producer[c.in_tensor[c.in_ptr[o] + i]]
    t = c.out_tensor[c.out_ptr[o] + i - ins]
    uses = c.use_ptr[t + 1] - c.use_ptr[t]
    if uses == 0:
        return o
    return c.use[c.use_ptr[t] + int(draw(state) * uses)]


@njit(nogil=True, cache=True)
def _settle_part(
    c: Columns,
    o: int,
    k: int,
    device: IntArray,
    members: tuple[IntArray, IntArray],
    position: IntArray,
    low: int,
    high: int,
    part: IntArray,
    state: NDArray[np.uint64],
) -> int:
    """Put o and a random connected part of its device on device k; write it, return its size."""
    member_ptr, member = members
    old, count = device[o], 1
    part[0] = o
    _settle(c, o, k, device, member_ptr, member)
    while count < len(part) and draw(state) < GROW:
        base = part[int(draw(state) * count)]
        g = c.colocation[base]
        if g >= 0:
            size = member_ptr[g + 1] - member_ptr[g]
            base = member[member_ptr[g] + int(draw(state) * size)]
        v = _neighbour(c, base, state)
        if (
            device[v] == old
            and low <= position[v] < high
            and _allowed(c, v, k, member_ptr, position, member, low, high)
        ):
            _settle(c, v, k, device, member_ptr, member)
            part[count] = v
            count += 1
    return count


@njit(nogil=True, cache=True)
def _first_of(
    c: Columns, part: IntArray, count: int, members: tuple[IntArray, IntArray], position: IntArray
) -> int:
    """First position of the operators in a part and of those colocated with them."""
    member_ptr, member = members
    first = position[part[0]]
    for i in range(count):
        first = min(first, position[part[i]])
        g = c.colocation[part[i]]
        if g >= 0:
            for j in range(member_ptr[g], member_ptr[g + 1]):
                first = min(first, position[member[j]])
    return first


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
    rows = (high - low) // STEP + 1
    shape = (rows, n_devices, c.n_streams)
    kept, marks = Marks(np.zeros(shape), np.zeros(rows)), Marks(np.zeros(shape), np.zeros(rows))
    kept.free[0] = window.free
    start, finish = np.zeros(high - low), np.zeros(high - low)
    part = np.empty(LARGEST_PART, np.int32)
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
    critical = _critical(c, sequence, device, times, path) if whole else 0
    entered = 0
    for _ in range(moves):
        temperature *= cooling
        a = low + int(draw(state) * (high - low))
        if critical > 0 and draw(state) < CRITICAL:
            a = position[path[int(draw(state) * critical)]]
        o = sequence[a]
        b, old, k = a, device[o], device[o]
        what = draw(state)
        if what < 0.7:
            at, last = _span(c, o, position, max(low, a - REACH), min(high, a + REACH))
            b = at + int(draw(state) * (last - at + 1))
        if (what > 0.5 or b == a) and n_devices > 1:
            k = device[_neighbour(c, o, state)] if draw(state) < NEAR else old
            if k == old:
                k = int(draw(state) * (n_devices - 1))
                k += k >= old
            if not _allowed(c, o, k, member_ptr, position, member, low, high):
                k = old
        if b == a and k == old:
            continue
        first, moved = min(a, b), 0
        if k != old:
            part[0], moved = o, 1
            if draw(state) < TOGETHER:
                moved = _settle_part(c, o, k, device, members, position, low, high, part, state)
            else:
                _settle(c, o, k, device, member_ptr, member)
            first = min(first, _first_of(c, part, moved, members, position))
        if b != a:
            _carry(sequence, position, a, b)
        longest, mean = _evaluate(c, sequence, position, device, times, window, first, kept, marks)
        then = longest + 0.05 * mean
        enter = then <= energy or draw(state) < np.exp((energy - then) / temperature)
        if enter and (not limited or fits_memory(c, device, times)):
            energy = then
            _keep(sequence, times, window, first, kept, marks, start, finish)
            entered += 1
            if whole and entered % FRESH == 0:
                critical = _critical(c, sequence, device, times, path)
            if longest < best or (longest == best and then < best_energy):
                best, best_energy = longest, then
                for p in range(low, high):
                    best_sequence[p] = sequence[p]
                    best_device[sequence[p]] = device[sequence[p]]
            continue
        if b != a:
            _carry(sequence, position, b, a)
        for i in range(moved):
            _settle(c, part[i], old, device, member_ptr, member)
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
