"""Annealing over the order of every resource, with fillers, where devices are fixed; compiled.

What is searched is the order of the tasks that others wait for. Tasks nobody waits for whose
inputs come from their own resource (the weight parts of a backward pass, say) are *fillers*:
decoding puts them into gaps, before an allocation that lacks memory, and what is left at the
end. The search space shrinks by a third and every neighbour comes with its gaps filled.

Importing this module imports numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule import Tasks
from planner_core.schedule.safe_order import TaskColumns
from planner_core.search.moves import draw

THRESHOLDS: FloatArray = np.array([-1.0, 0.0, 0.1, 0.3, 0.6, 1.0, 1e9])
"""Share of a filler's duration that a gap must have to take it; below 0: one without a gap."""


class Orders(NamedTuple):
    """The order of every resource.

    Parameters
    ----------
    first : int array, shape (R + 1,)
        Where the sequence of each resource begins in ``sequence``.
    sequence : int array
        All tasks but fillers.
    threshold : int array, shape (T,)
        Index into :data:`THRESHOLDS`, for the gap before each task.
    """

    first: IntArray
    sequence: IntArray
    threshold: IntArray


class Room(NamedTuple):
    """Working memory of decoding."""

    waiting: IntArray
    ready: FloatArray
    start: FloatArray
    free: FloatArray
    head: IntArray
    queue: IntArray
    queue_from: IntArray
    queue_to: IntArray
    stack: IntArray
    used: FloatArray
    left: IntArray


def fillers(tasks: Tasks) -> NDArray[np.bool_]:
    """Tasks nobody waits for whose inputs all come from their own resource; shape (T,)."""
    filler = np.ones(tasks.n_tasks, dtype=bool)
    filler[tasks.arc_from] = False
    elsewhere = tasks.resource[tasks.arc_from] != tasks.resource[tasks.arc_to]
    filler[tasks.arc_to[elsewhere]] = False
    filler[tasks.arc_to[tasks.arc_lag > 0]] = False
    has_input = np.zeros(tasks.n_tasks, dtype=bool)
    has_input[tasks.arc_to] = True
    return filler & has_input


def holds_follow_order(tasks: Tasks) -> bool:
    """Whether the order of each resource alone decides if memory suffices.

    So it is where everything held on a limited device begins and ends with tasks of one
    resource.
    """
    limited = np.isfinite(tasks.problem.cluster.memory)
    here = limited[tasks.hold_device]
    begins = tasks.resource[tasks.hold_task]
    owner = np.full(tasks.problem.n_devices, -1)
    owner[tasks.hold_device[here]] = begins[here]
    hold = np.repeat(np.arange(len(tasks.hold_task)), np.diff(tasks.release_ptr))
    ends = tasks.resource[tasks.release_task]
    return bool(
        np.all(owner[tasks.hold_device[here]] == begins[here])
        and not np.any(tasks.hold_at_finish[here])
        and np.all((ends == begins[hold])[here[hold]])
        and not np.any(tasks.release_lag[here[hold]] > 0)
    )


def room_for(c: TaskColumns) -> Room:
    """Return working memory for decoding."""
    n, r = len(c.duration), c.n_resources
    counts = np.bincount(c.resource, minlength=r)
    begin = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32)
    return Room(
        waiting=np.zeros(n, np.int32),
        ready=np.zeros(n),
        start=np.zeros(n),
        free=np.zeros(r),
        head=np.zeros(r, np.int32),
        queue=np.zeros(n, np.int32),
        queue_from=begin.copy(),
        queue_to=begin,
        stack=np.zeros(n + r, np.int32),
        used=np.zeros(len(c.room)),
        left=np.zeros(len(c.releases), np.int32),
    )


@njit(nogil=True, cache=True, inline="always")
def _run(c: TaskColumns, t: int, begin: float, room: Room, orders: Orders, top: int) -> int:
    """Run a task: memory, successors, resources that can go on; return the stack's height."""
    end = begin + c.duration[t]
    room.start[t] = begin
    r = c.resource[t]
    room.free[r] = end
    for i in range(c.hold_ptr[t], c.hold_ptr[t + 1]):
        room.used[c.hold_device[c.hold[i]]] += c.hold_size[c.hold[i]]
    for i in range(c.end_ptr[t], c.end_ptr[t + 1]):
        h = c.end_hold[c.end[i]]
        room.left[h] -= 1
        if room.left[h] == 0:
            room.used[c.hold_device[h]] -= c.hold_size[h]
    for i in range(c.out_ptr[t], c.out_ptr[t + 1]):
        arc = c.out_arc[i]
        v = c.arc_to[arc]
        room.ready[v] = max(room.ready[v], end + c.arc_lag[arc])
        room.waiting[v] -= 1
        if room.waiting[v] == 0:
            q = c.resource[v]
            if orders.threshold[v] < 0:
                room.queue[room.queue_to[q]] = v
                room.queue_to[q] += 1
            elif (
                q != r and room.head[q] < orders.first[q + 1] and orders.sequence[room.head[q]] == v
            ):
                room.stack[top] = q
                top += 1
    return top


@njit(nogil=True, cache=True)
def decode_orders(
    c: TaskColumns, orders: Orders, room: Room, queue_first: IntArray
) -> tuple[float, float]:
    """Time the orders; return the makespan and the mean finish of the resources.

    Both are inf where tasks wait for each other or the memory does not suffice.
    """
    n = len(c.duration)
    for t in range(n):
        room.waiting[t] = c.in_ptr[t + 1] - c.in_ptr[t]
        room.ready[t] = 0.0
    room.free[:] = 0.0
    room.used[:] = 0.0
    room.left[:] = c.releases
    room.head[:] = orders.first[:-1]
    room.queue_from[:] = queue_first
    room.queue_to[:] = queue_first
    top = c.n_resources
    for r in range(c.n_resources):
        room.stack[r] = c.n_resources - 1 - r
    done = 0
    while top > 0:
        top -= 1
        r = room.stack[top]
        while room.head[r] < orders.first[r + 1]:
            t = orders.sequence[room.head[r]]
            if room.waiting[t] > 0:
                break
            level = THRESHOLDS[orders.threshold[t]]
            forced = level < 0
            while room.queue_from[r] < room.queue_to[r]:
                w = room.queue[room.queue_from[r]]
                gap = room.ready[t] - room.free[r]
                blocked = False
                for i in range(c.hold_ptr[t], c.hold_ptr[t + 1]):
                    k = c.hold_device[c.hold[i]]
                    if room.used[k] + c.hold_size[c.hold[i]] > c.room[k]:
                        blocked = True
                if not (blocked or forced or (gap > 0 and gap >= level * c.duration[w])):
                    break
                forced = False
                room.queue_from[r] += 1
                top = _run(c, w, room.free[r], room, orders, top)
            room.head[r] += 1
            for i in range(c.hold_ptr[t], c.hold_ptr[t + 1]):
                k = c.hold_device[c.hold[i]]
                room.used[k] += c.hold_size[c.hold[i]]
                if room.used[k] > c.room[k]:
                    return np.inf, np.inf
            for i in range(c.hold_ptr[t], c.hold_ptr[t + 1]):
                room.used[c.hold_device[c.hold[i]]] -= c.hold_size[c.hold[i]]
            top = _run(c, t, max(room.free[r], room.ready[t]), room, orders, top)
            done += 1
    if done < len(orders.sequence):
        return np.inf, np.inf
    latest, total = 0.0, 0.0
    for r in range(c.n_resources):
        while room.queue_from[r] < room.queue_to[r]:
            w = room.queue[room.queue_from[r]]
            room.queue_from[r] += 1
            top = _run(c, w, room.free[r], room, orders, top)
        latest = max(latest, room.free[r])
        total += room.free[r]
    return latest, total / c.n_resources


@njit(nogil=True, cache=True)
def _partner(
    c: TaskColumns,
    orders: Orders,
    kind: IntArray,
    a: int,
    reach: int,
    swap: bool,
    state: NDArray[np.uint64],
) -> int:
    """Draw a position for the task at ``a``, or one to swap with, that overtakes none alike."""
    sequence = orders.sequence
    t = sequence[a]
    r = c.resource[t]
    step = 1 if draw(state) < 0.5 else -1
    far = 1 + int(draw(state) * reach)
    b = a
    while far > 0 and orders.first[r] <= b + step < orders.first[r + 1]:
        if kind[t] >= 0 and kind[sequence[b + step]] == kind[t]:
            break
        b += step
        far -= 1
    if swap and b != a and kind[sequence[b]] >= 0:
        for p in range(a + step, b, step):
            if kind[sequence[p]] == kind[sequence[b]]:
                return p  # the nearest of that kind may swap, those behind it may not
    return b


@njit(nogil=True, cache=True)
def _block_target(
    c: TaskColumns,
    orders: Orders,
    kind: IntArray,
    a: int,
    length: int,
    reach: int,
    state: NDArray[np.uint64],
) -> int:
    """Draw a position for the tasks at a … a + length − 1 that overtakes none alike."""
    sequence = orders.sequence
    r = c.resource[sequence[a]]
    step = 1 if draw(state) < 0.5 else -1
    far = 1 + int(draw(state) * reach)
    b = a
    if a + length > orders.first[r + 1]:
        return a
    while far > 0:
        passed = b + length if step > 0 else b - 1
        if passed < orders.first[r] or passed >= orders.first[r + 1]:
            return b
        for p in range(a, a + length):
            if kind[sequence[p]] >= 0 and kind[sequence[p]] == kind[sequence[passed]]:
                return b
        b += step
        far -= 1
    return b


@njit(nogil=True, cache=True)
def _carry_block(sequence: IntArray, a: int, b: int, length: int) -> None:
    """Carry the tasks at a … a + length − 1 to b …; those between step aside."""
    if b > a:
        for i in range(length - 1, -1, -1):
            _carry(sequence, a + i, b + i)
    else:
        for i in range(length):
            _carry(sequence, a + i, b + i)


@njit(nogil=True, cache=True)
def _carry(sequence: IntArray, a: int, b: int) -> None:
    """Carry the task at a to b; those between step aside."""
    t = sequence[a]
    step = 1 if b > a else -1
    for p in range(a, b, step):
        sequence[p] = sequence[p + step]
    sequence[b] = t


@njit(nogil=True, cache=True)
def anneal_orders(
    c: TaskColumns,
    orders: Orders,
    room: Room,
    queue_first: IntArray,
    kind: IntArray,
    hot: float,
    cold: float,
    weight: float,
    reach: int,
    moves: int,
    state: NDArray[np.uint64],
    best_sequence: IntArray,
    best_threshold: IntArray,
) -> float:
    """Anneal; the best orders go to ``best_sequence`` and ``best_threshold``.

    Tasks of one ``kind`` (equal numbers, 0 or more) keep their order: they are alike.
    Energy = makespan + ``weight`` · mean finish of the resources. Returns the best makespan.
    """
    latest, mean = decode_orders(c, orders, room, queue_first)
    energy = latest + weight * mean
    best, best_energy = latest, energy
    best_sequence[:] = orders.sequence
    best_threshold[:] = orders.threshold
    sequence = orders.sequence
    total = len(sequence)
    cooling = (cold / hot) ** (1.0 / max(1, moves))
    temperature = hot
    for _ in range(moves):
        temperature *= cooling
        a = int(draw(state) * total)
        t = sequence[a]
        b, old = a, orders.threshold[t]
        what = draw(state)
        swap, length = what > 0.6, 1
        if what < 0.1:
            orders.threshold[t] = int(draw(state) * len(THRESHOLDS))
            if orders.threshold[t] == old:
                continue
        else:
            if what < 0.3:
                length = 2 + int(draw(state) * 3)
                b = _block_target(c, orders, kind, a, length, reach, state)
            else:
                b = _partner(c, orders, kind, a, reach, swap, state)
            if b == a:
                continue
            if length > 1:
                _carry_block(sequence, a, b, length)
            elif swap:
                sequence[a], sequence[b] = sequence[b], t
            else:
                _carry(sequence, a, b)
        latest, mean = decode_orders(c, orders, room, queue_first)
        then = latest + weight * mean
        if then <= energy or (
            then < np.inf and draw(state) < np.exp((energy - then) / temperature)
        ):
            energy = then
            if latest < best or (latest == best and then < best_energy):
                best, best_energy = latest, then
                best_sequence[:] = sequence
                best_threshold[:] = orders.threshold
            continue
        orders.threshold[t] = old
        if length > 1:
            _carry_block(sequence, b, a, length)
        elif swap:
            sequence[b] = sequence[a]
            sequence[a] = t
        else:
            _carry(sequence, b, a)
    return best
