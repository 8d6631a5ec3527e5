"""Exact search over placements first, order second, for up to a few dozen operators, compiled.

Operators get their devices one by one in topological order. With the devices of a few known,
their heads are; a one-machine relaxation of every stream (Jackson 1955), the work left over
devices, and longest paths cut most placements before they are complete. What is left of a complete
placement is a job shop with delays, settled by branch and bound over its order. Where idle time
comes from transfers rather than from the order, this proves what a search over the order first
takes hours for; with many devices it is the other way round, so both are run.

Memory limits and queues for exclusive links and staged copies are not seen: with them the
result is a lower bound and no schedule. Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit

from planner_core.problem.graph import FloatArray, IntArray
from planner_core.search.branch_and_bound import Branching, Task
from planner_core.search.state import SearchState

CALL_PLACEMENTS = 20_000
"""Partial placements between two looks at the clock: a few hundredths of a second."""

SUMMED = 14
"""Whether loads can still come out right is looked up when so many operators are left."""


class Partial(NamedTuple):
    """A partial placement: the first operators in topological order have a device.

    Parameters
    ----------
    choice : int array, shape (n + 1,)
        Device to be tried next for the operator at each place of the order.
    device : int array, shape (n,)
        −1 while open.
    head : float array, shape (n,)
    tail : float array, shape (n,)
        Of a complete placement.
    load : float array, shape (n + 1, K, S)
        Row i: of the first i operators.
    home : int array, shape (groups,)
        Operators of each colocation group that have a device.
    users : int array, shape (K,)
        Number of operators placed on each device.
    row, filled : int arrays, shapes (K, S, n), (K, S)
        Operators placed on each stream, by rising head.
    by_tail, sums : int array, shape (n,); float array
        Room for a stream's operators by falling tail; see :func:`_sums`.
    """

    choice: IntArray
    device: IntArray
    head: FloatArray
    tail: FloatArray
    load: FloatArray
    home: IntArray
    users: IntArray
    row: IntArray
    filled: IntArray
    by_tail: IntArray
    sums: FloatArray


def search_placements(
    state: SearchState, seconds: float, leave: Callable[[], bool] = lambda: False
) -> bool:
    """Look for a shortest schedule and a proof; return whether the search was completed.

    Parameters
    ----------
    state : SearchState
        Of the makespan; gets better schedules and, at the end, the bound.
    seconds : float
        When to give up.
    leave : callable
        Looked at every few hundredths of a second; true means give up.
    """
    branching = Branching.of(state, state.clock.elapsed + seconds, leave)
    if branching is None:
        return False
    task, n = branching.task, branching.n
    partial = _nothing_placed(task)
    left = np.append(np.cumsum(task.least[task.order][::-1])[::-1], 0.0)
    depth = 0
    while not branching.over:
        depth = _advance(task, partial, left, depth, branching.limit, CALL_PLACEMENTS)
        if depth < 0:
            branching.prove("search over placements")
            return True
        if depth == n and not branching.settle(_placed(task, partial)):
            break
    return state.optimal


def _nothing_placed(task: Task) -> Partial:
    n, k = task.duration.shape
    streams = int(task.stream.max(initial=0)) + 1
    groups = int(task.group.max(initial=-1)) + 1
    return Partial(
        choice=np.zeros(n + 1, np.int32),
        device=np.full(n, -1, np.int32),
        head=np.zeros(n),
        tail=np.zeros(n),
        load=np.zeros((n + 1, k, streams)),
        home=np.zeros(max(1, groups), np.int32),
        users=np.zeros(k, np.int32),
        row=np.zeros((k, streams, n), np.int32),
        filled=np.zeros((k, streams), np.int32),
        by_tail=np.zeros(n, np.int32),
        sums=_sums(task, streams),
    )


def _sums(task: Task, streams: int) -> FloatArray:
    """Loads that the last r operators can add to a device, sorted, r = 0 … ``SUMMED``, in a row.

    Row r takes 2^r places from 2^r − 1 on. Empty unless all devices take the same time for
    everything: elsewhere loads are not made up of one set of numbers.
    """
    if streams > 1 or not np.all(task.duration == task.duration[:, :1]):
        return np.zeros(0)
    rows = [np.zeros(1)]
    for o in task.order[::-1][:SUMMED]:
        longer = rows[-1] + task.least[o]
        rows.append(np.sort(np.concatenate([rows[-1], longer])))
    return np.concatenate(rows)


def _placed(task: Task, partial: Partial) -> Task:
    """Return the task with every operator on the device it has, and the tails that follow."""
    here = np.zeros(task.duration.shape, dtype=bool)
    here[np.arange(len(here)), partial.device] = True
    return task._replace(
        duration=np.where(here, task.duration, np.inf),
        tail=np.where(here, partial.tail[:, None], np.inf),
        least_tail=partial.tail.copy(),
        least=task.duration[here],
        by_tail=np.argsort(-partial.tail, kind="stable").astype(np.int32),
        like=np.arange(task.duration.shape[1], dtype=np.int32),
        placed=True,
    )


@njit(nogil=True, cache=True)
def _advance(
    task: Task, part: Partial, left: FloatArray, depth: int, limit: float, nodes: int
) -> int:
    """Go on until a complete placement may be better (returns n), all is done (−1), or a while."""
    n, k_all = task.duration.shape
    if depth == n:
        depth -= 1
        _take_back(task, part, depth)
    while nodes > 0:
        if part.choice[depth] == k_all:
            part.choice[depth] = 0
            depth -= 1
            if depth < 0:
                return -1
            _take_back(task, part, depth)
            continue
        k = part.choice[depth]
        part.choice[depth] += 1
        if not _may_go(task, part, task.order[depth], k):
            continue
        nodes -= 1
        _put(task, part, depth, k)
        if _hopeless(task, part, depth, k, left[depth + 1], limit) or (
            depth + 1 == n and _is_too_long(task, part, limit)
        ):
            _take_back(task, part, depth)
            continue
        depth += 1
        if depth == n:
            return n
    return depth


@njit(nogil=True, cache=True)
def _may_go(task: Task, part: Partial, o: int, k: int) -> bool:
    """Whether the next operator may go there and no like device makes it superfluous."""
    if np.isinf(task.duration[o, k]):
        return False
    g = task.group[o]
    if g >= 0 and part.home[g] > 0:
        for other in range(len(part.device)):
            if task.group[other] == g and part.device[other] >= 0:
                return bool(part.device[other] == k)
    if part.users[k] == 0:
        for other in range(k):
            if task.like[other] == task.like[k] and part.users[other] == 0:
                return False
    return True


@njit(nogil=True, cache=True)
def _put(task: Task, part: Partial, depth: int, k: int) -> None:
    o = task.order[depth]
    head = 0.0
    for i in range(task.in_ptr[o], task.in_ptr[o + 1]):
        p = task.in_operator[i]
        a = part.device[p]
        head = max(head, part.head[p] + task.duration[p, a] + task.in_time[i, a, k])
    part.device[o], part.head[o] = k, head
    part.load[depth + 1] = part.load[depth]
    part.load[depth + 1, k, task.stream[o]] += task.duration[o, k]
    part.users[k] += 1
    row, place = part.row[k, task.stream[o]], part.filled[k, task.stream[o]]
    while place > 0 and part.head[row[place - 1]] > head:
        row[place] = row[place - 1]
        place -= 1
    row[place] = o
    part.filled[k, task.stream[o]] += 1
    if task.group[o] >= 0:
        part.home[task.group[o]] += 1


@njit(nogil=True, cache=True)
def _take_back(task: Task, part: Partial, depth: int) -> None:
    o = task.order[depth]
    k = part.device[o]
    part.device[o] = -1
    part.users[k] -= 1
    row = part.row[k, task.stream[o]]
    part.filled[k, task.stream[o]] -= 1
    found = False
    for i in range(part.filled[k, task.stream[o]]):
        found = found or row[i] == o
        if found:
            row[i] = row[i + 1]
    if task.group[o] >= 0:
        part.home[task.group[o]] -= 1


@njit(nogil=True, cache=True)
def _hopeless(task: Task, part: Partial, depth: int, k: int, left: float, limit: float) -> bool:
    """Whether the last operator's path, its stream, or the work left, reaches the limit."""
    o = task.order[depth]
    if part.head[o] + task.duration[o, k] + task.tail[o, k] >= limit:
        return True
    if part.load.shape[2] == 1:
        room = 0.0
        for a in range(part.load.shape[1]):
            room += limit - part.load[depth + 1, a, 0]
        if left >= room or _falls_between(part, depth + 1, left, room, limit):
            return True
    return _stream_bound(task, part, k, task.stream[o], task.tail, limit)


@njit(nogil=True, cache=True)
def _falls_between(part: Partial, depth: int, left: float, room: float, limit: float) -> bool:
    """Whether some device's load cannot come out right: too little here is too much elsewhere."""
    some = len(part.device) - depth
    first, last = 2**some - 1, 2 ** (some + 1) - 1
    if last > len(part.sums):
        return False
    slack = 1e-12 * limit
    for k in range(part.load.shape[1]):
        most = limit - part.load[depth, k, 0] + slack
        least = left - (room - most) - slack
        low, high = first, last
        while low < high:
            middle = (low + high) // 2
            if part.sums[middle] < least:
                low = middle + 1
            else:
                high = middle
        if low == last or part.sums[low] > most:
            return True
    return False


@njit(nogil=True, cache=True)
def _stream_bound(
    task: Task, part: Partial, k: int, s: int, tail: FloatArray, limit: float
) -> bool:
    """Whether least head + work + least tail of some of a stream's operators reaches the limit.

    Over all sets of operators this is the makespan of the best preemptive schedule (Carlier
    1982, "The one-machine sequencing problem").
    """
    row, by_tail = part.row[k, s], part.by_tail
    for i in range(part.filled[k, s] - 1, -1, -1):
        o = row[i]
        place = part.filled[k, s] - 1 - i
        while place > 0 and tail[by_tail[place - 1], k] < tail[o, k]:
            by_tail[place] = by_tail[place - 1]
            place -= 1
        by_tail[place] = o
        work = part.head[o]
        for j in range(part.filled[k, s] - i):
            work += task.duration[by_tail[j], k]
            if work + tail[by_tail[j], k] >= limit:
                return True
    return False


@njit(nogil=True, cache=True)
def _is_too_long(task: Task, part: Partial, limit: float) -> bool:
    """Whether a complete placement's paths or streams reach the limit; fills in its tails."""
    n, k_all = task.duration.shape
    tail = np.zeros((n, k_all))
    for i in range(n - 1, -1, -1):
        o = task.order[i]
        k = part.device[o]
        longest = 0.0
        for j in range(task.out_ptr[o], task.out_ptr[o + 1]):
            p = task.out_operator[j]
            b = part.device[p]
            longest = max(longest, task.out_time[j, k, b] + task.duration[p, b] + part.tail[p])
        part.tail[o] = tail[o, k] = longest
        if part.head[o] + task.duration[o, k] + longest >= limit:
            return True
    for k in range(k_all):
        for s in range(part.load.shape[2]):
            if _stream_bound(task, part, k, s, tail, limit):
                return True
    return False
