"""Moves of annealing over (topological sequence, device), compiled: propose one, take it back.

Importing this module imports numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule.columns import Columns, move_time
from planner_core.search.decoder import Times

NEAR = 0.5
"""Share of the changes of device that try a producer's or a consumer's."""

REACH = 20
"""How far a move carries an operator along the sequence, at most."""

TOGETHER = 0.5
"""Share of the changes of device that take a connected part of the old device along.

Where transfers are slow, an operator gains nothing by moving alone: what it exchanges tensors
with has to come along.
"""

GROW, LARGEST_PART = 0.75, 12
"""Chance that the part grows by one more operator or colocation group, and its largest size."""

EXCHANGE = 0.25
"""Share of the moves in which two operators change devices with each other: it keeps the balance
of their work, which a change of one device destroys."""


MOVE = 6
"""Numbers that describe a move, for :func:`take_back`."""

LAST = 5
"""Which of them is the last position that the move changed."""


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


def whole_window(times: Times) -> Window:
    """Return the window over everything."""
    nothing = np.zeros_like(times.free)
    return Window(0, len(times.start), nothing, np.zeros(len(times.start)), nothing.copy())


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
def critical_path(
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
def _ends_of(
    c: Columns, part: IntArray, count: int, members: tuple[IntArray, IntArray], position: IntArray
) -> tuple[int, int]:
    """First and last position of the operators in a part and of those colocated with them."""
    member_ptr, member = members
    first = last = position[part[0]]
    for i in range(count):
        first = min(first, position[part[i]])
        last = max(last, position[part[i]])
        g = c.colocation[part[i]]
        if g >= 0:
            for j in range(member_ptr[g], member_ptr[g + 1]):
                first = min(first, position[member[j]])
                last = max(last, position[member[j]])
    return first, last


@njit(nogil=True, cache=True)
def propose(
    c: Columns,
    a: int,
    sequence: IntArray,
    position: IntArray,
    device: IntArray,
    window: Window,
    members: tuple[IntArray, IntArray],
    move: NDArray[np.int64],
    part: IntArray,
    state: NDArray[np.uint64],
) -> int:
    """Change position, device or both of the operator at ``a``; return the first place changed.

    −1 says that nothing did. ``move`` and ``part`` are written for :func:`take_back`: positions a
    and b between which was moved, size of the part that changed device, its old device, whether
    two operators were exchanged, and the last place changed.
    """
    low, high, n_devices = window.low, window.high, len(c.column)
    member_ptr, member = members
    o = sequence[a]
    if n_devices > 1 and draw(state) < EXCHANGE:
        return _exchange(c, a, sequence, position, device, window, members, move, part, state)
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
        return -1
    first, last, moved = min(a, b), max(a, b), 0
    if k != old:
        part[0], moved = o, 1
        if draw(state) < TOGETHER:
            moved = _settle_part(c, o, k, device, members, position, low, high, part, state)
        else:
            _settle(c, o, k, device, member_ptr, member)
        front, back = _ends_of(c, part, moved, members, position)
        first, last = min(first, front), max(last, back)
    if b != a:
        _carry(sequence, position, a, b)
    move[0], move[1], move[2], move[3], move[4], move[LAST] = a, b, moved, old, 0, last
    return first


@njit(nogil=True, cache=True, inline="always")
def only_carries(move: NDArray[np.int64]) -> bool:
    """Whether a move changes places only, and no device."""
    return move[2] == 0


@njit(nogil=True, cache=True)
def _exchange(
    c: Columns,
    a: int,
    sequence: IntArray,
    position: IntArray,
    device: IntArray,
    window: Window,
    members: tuple[IntArray, IntArray],
    move: NDArray[np.int64],
    part: IntArray,
    state: NDArray[np.uint64],
) -> int:
    """Let two operators near each other change devices, and places where precedence lets them."""
    low, high = window.low, window.high
    member_ptr, member = members
    b = min(high - 1, max(low, a + int((2 * draw(state) - 1) * REACH)))
    a, b = min(a, b), max(a, b)
    o, v = sequence[a], sequence[b]
    old, k = device[o], device[v]
    if (
        k == old
        or c.stream[o] != c.stream[v]
        or not _allowed(c, o, k, member_ptr, position, member, low, high)
        or not _allowed(c, v, old, member_ptr, position, member, low, high)
    ):
        return -1
    part[0], part[1] = o, v
    first, last = _ends_of(c, part, 2, members, position)
    _settle(c, o, k, device, member_ptr, member)
    _settle(c, v, old, device, member_ptr, member)
    if _span(c, o, position, low, high)[1] >= b and _span(c, v, position, low, high)[0] <= a:
        _carry(sequence, position, a, b)
        _carry(sequence, position, b - 1, a)
        move[4] = 2
    else:
        move[4] = 1
    move[0], move[1], move[2], move[3], move[LAST] = a, b, 2, old, last
    return first


@njit(nogil=True, cache=True)
def take_back(
    c: Columns,
    sequence: IntArray,
    position: IntArray,
    device: IntArray,
    members: tuple[IntArray, IntArray],
    move: NDArray[np.int64],
    part: IntArray,
) -> None:
    """Undo what was proposed last."""
    member_ptr, member = members
    a, b, moved, old = move[0], move[1], move[2], move[3]
    if move[4] > 0:
        _settle(c, part[1], device[part[0]], device, member_ptr, member)
        _settle(c, part[0], old, device, member_ptr, member)
        if move[4] == 2:
            _carry(sequence, position, a, b - 1)
            _carry(sequence, position, b, a)
        return
    if b != a:
        _carry(sequence, position, b, a)
    for i in range(moved):
        _settle(c, part[i], old, device, member_ptr, member)
