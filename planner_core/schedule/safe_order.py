"""Start operators early without ever running into a memory deadlock (fixed devices).

Starting whatever fits can fill a device with tensors whose consumers then find no memory. The
banker's algorithm (Dijkstra 1965) avoids it: keep a reference order that fits the memory when
run one task after the other, and start a task early only if the rest of the reference order
still fits afterwards. Then some task can always go on.

Importing this module imports numba.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.problem import RELATIVE_TOLERANCE, InputError, NotApplicable, Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule.columns import group_rows
from planner_core.schedule.retiming import retime, topological_rank
from planner_core.schedule.schedule import Schedule
from planner_core.schedule.tasks import Tasks, compile_tasks

LOOK_AHEAD = 2_000
"""How far from its place in the reference order a task may be pulled forward."""
GREEDY_TASKS = 3_000
"""Up to here an order of least memory is also tried as reference."""
LARGE_TASKS = 20_000
"""Above, the first reference order that fits is used and tasks are pulled forward less far."""
LARGE_LOOK_AHEAD = 200


class TaskColumns(NamedTuple):
    """Tasks as flat arrays; see :class:`planner_core.schedule.tasks.Tasks`."""

    duration: FloatArray
    resource: IntArray
    n_resources: int
    out_ptr: IntArray
    out_arc: IntArray
    in_ptr: IntArray
    in_arc: IntArray
    arc_from: IntArray
    arc_to: IntArray
    arc_lag: FloatArray
    hold_ptr: IntArray
    """CSR by task: the holds it begins."""
    hold: IntArray
    hold_device: IntArray
    hold_size: FloatArray
    releases: IntArray
    """Number of releases each hold waits for; one more than ever come if it is never released."""
    end_ptr: IntArray
    """CSR by task: the releases it makes."""
    end: IntArray
    end_hold: IntArray
    end_lag: FloatArray
    room: FloatArray


def task_columns(tasks: Tasks) -> TaskColumns:
    """Return the columns of tasks."""
    n = tasks.n_tasks
    arcs = np.arange(len(tasks.arc_from), dtype=np.int32)
    out_ptr, out_arc = group_rows(tasks.arc_from, arcs, n)
    in_ptr, in_arc = group_rows(tasks.arc_to, arcs, n)
    n_holds = len(tasks.hold_task)
    hold_ptr, hold = group_rows(tasks.hold_task, np.arange(n_holds, dtype=np.int32), n)
    count = np.diff(tasks.release_ptr).astype(np.int32)
    ends = np.arange(len(tasks.release_task), dtype=np.int32)
    end_ptr, end = group_rows(tasks.release_task, ends, n)
    memory = tasks.problem.cluster.memory
    return TaskColumns(
        duration=tasks.duration,
        resource=tasks.resource,
        n_resources=tasks.n_resources,
        out_ptr=out_ptr,
        out_arc=out_arc,
        in_ptr=in_ptr,
        in_arc=in_arc,
        arc_from=tasks.arc_from,
        arc_to=tasks.arc_to,
        arc_lag=tasks.arc_lag,
        hold_ptr=hold_ptr,
        hold=hold,
        hold_device=tasks.hold_device,
        hold_size=tasks.hold_size,
        releases=np.where(count == 0, 1, count).astype(np.int32),
        end_ptr=end_ptr,
        end=end,
        end_hold=np.repeat(np.arange(n_holds, dtype=np.int32), count),
        end_lag=tasks.release_lag,
        room=memory * (1 + RELATIVE_TOLERANCE) - tasks.resident,
    )


def safe_schedule(problem: Problem, device: IntArray, rank: FloatArray) -> Schedule:
    """Return a schedule on given devices that keeps the memory limits.

    Parameters
    ----------
    problem : Problem
    device : int array, shape (n,)
    rank : float array, shape (n,)
        Urgency of every operator: of those that can start safely, the highest does.

    Returns
    -------
    Schedule
        Keeps streams, precedence and memory.

    Raises
    ------
    NotApplicable
        If no reference order tried fits the memory, or no link joins two of the devices.
    """
    try:
        tasks = compile_tasks(problem, device)
    except InputError as error:
        raise NotApplicable(str(error)) from None
    columns = task_columns(tasks)
    over = np.flatnonzero(columns.room < 0)
    if len(over):
        raise NotApplicable(
            f"the parameter groups on device '{problem.cluster.device_ids[over[0]]}' alone "
            "exceed its memory limit; spread the operators or raise the limit"
        )
    urgency = np.full(tasks.n_tasks, np.inf)  # copies go first: others wait for them
    urgency[: tasks.n_operators] = rank
    best = min(
        safe_starts(tasks, columns, urgency),
        key=lambda start: float((start + tasks.duration).max()),
        default=None,
    )
    if best is None:
        raise NotApplicable(
            "no order tried fits the memory limits even one operator at a time; raise the limits "
            "or place the operators differently"
        )
    return tasks.schedule(retime(tasks, best))


def safe_starts(tasks: Tasks, columns: TaskColumns, urgency: FloatArray) -> Iterator[FloatArray]:
    """Yield start times of all tasks that keep the memory limits, several ways.

    Parameters
    ----------
    tasks : Tasks
    columns : TaskColumns
        Of the tasks; the durations in here count, whatever the tasks' own are.
    urgency : float array, shape (T,)
    """
    large = tasks.n_tasks > LARGE_TASKS
    look_ahead = LARGE_LOOK_AHEAD if large else LOOK_AHEAD
    for order in _reference_orders(tasks, columns, urgency):
        if not _fits(columns, order):
            continue
        in_order = np.empty(tasks.n_tasks)
        in_order[order] = -np.arange(tasks.n_tasks, dtype=float)
        for priority in (urgency, in_order):
            yield _run_safely(columns, order, priority, look_ahead)
        if large:
            return


def _reference_orders(
    tasks: Tasks, columns: TaskColumns, urgency: FloatArray
) -> Iterator[IntArray]:
    """Yield topological orders of the tasks that may fit: by micro-batch, urgency and memory."""
    n = tasks.n_operators
    batch = tasks.problem.graph.micro_batch
    if np.any(batch >= 0):
        batch_of = np.full(tasks.n_tasks, -1.0)
        batch_of[:n] = batch
        for half in (False, True):
            if half:  # micro-batches of a bidirectional pipeline come in by turns
                batch_of[:n] = _by_turns(batch, tasks.device)
            yield _order_by(tasks, columns, np.stack([batch_of, -urgency], axis=1))
    if tasks.n_tasks <= GREEDY_TASKS:
        yield _least_memory_order(columns, topological_rank(tasks).astype(np.int32))
    yield _order_by(tasks, columns, -urgency[:, None])


def _by_turns(batch: IntArray, device: IntArray) -> FloatArray:
    """Return micro-batch numbers that let those that start on different devices alternate."""
    first_on: dict[int, int] = {}
    for o in np.flatnonzero(batch >= 0).tolist():
        first_on.setdefault(int(batch[o]), int(device[o]))
    turn: dict[int, int] = {}
    number: dict[int, float] = {-1: -1.0}
    for b in sorted(first_on):
        k = first_on[b]
        number[b] = turn.get(k, 0) + k / (len(device) + 1)
        turn[k] = turn.get(k, 0) + 1
    return np.array([number[int(b)] for b in batch])


def _order_by(tasks: Tasks, columns: TaskColumns, key: FloatArray) -> IntArray:
    """Topological order that takes the least key (rows compared in turn) of what is ready."""
    priority = np.empty(tasks.n_tasks, dtype=np.int64)
    by_key = np.lexsort((np.arange(tasks.n_tasks), *key.T[::-1]))
    priority[by_key] = np.arange(tasks.n_tasks)
    return _ready_order(columns, priority, by_key)


@njit(nogil=True, cache=True)
def _ready_order(c: TaskColumns, priority: np.ndarray, by_key: np.ndarray) -> IntArray:
    """Topological order by priority, the least first; ``by_key`` is its inverse."""
    n = len(priority)
    waiting = c.in_ptr[1:] - c.in_ptr[:-1]
    heap = [priority[t] for t in range(n) if waiting[t] == 0]
    heapq.heapify(heap)
    order = np.empty(n, np.int32)
    for position in range(n):
        t = by_key[heapq.heappop(heap)]
        order[position] = t
        for i in range(c.out_ptr[t], c.out_ptr[t + 1]):
            successor = c.arc_to[c.out_arc[i]]
            waiting[successor] -= 1
            if waiting[successor] == 0:
                heapq.heappush(heap, priority[successor])
    return order


@njit(nogil=True, cache=True)
def _least_memory_order(c: TaskColumns, rank: IntArray) -> IntArray:
    """Topological order that takes of what is ready the task that adds the least memory."""
    n = len(c.duration)
    waiting = c.in_ptr[1:] - c.in_ptr[:-1]
    left = c.releases.copy()
    done = np.zeros(n, np.bool_)
    order = np.empty(n, np.int32)
    for position in range(n):
        best, least = -1, np.inf
        for t in range(n):
            if done[t] or waiting[t] > 0:
                continue
            added = 0.0
            for i in range(c.hold_ptr[t], c.hold_ptr[t + 1]):
                added += c.hold_size[c.hold[i]]
            for i in range(c.end_ptr[t], c.end_ptr[t + 1]):
                h = c.end_hold[c.end[i]]
                if left[h] == 1:
                    added -= c.hold_size[h]
            if added < least or (added == least and rank[t] < rank[best]):
                best, least = t, added
        done[best] = True
        order[position] = best
        for i in range(c.end_ptr[best], c.end_ptr[best + 1]):
            left[c.end_hold[c.end[i]]] -= 1
        for i in range(c.out_ptr[best], c.out_ptr[best + 1]):
            waiting[c.arc_to[c.out_arc[i]]] -= 1
    return order


@njit(nogil=True, cache=True)
def _execute(c: TaskColumns, t: int, used: FloatArray, left: IntArray) -> bool:
    """Run one task to its end: allocate, check the limits, release."""
    for i in range(c.hold_ptr[t], c.hold_ptr[t + 1]):
        used[c.hold_device[c.hold[i]]] += c.hold_size[c.hold[i]]
    fits = True
    for i in range(c.hold_ptr[t], c.hold_ptr[t + 1]):
        k = c.hold_device[c.hold[i]]
        fits = fits and used[k] <= c.room[k]
    for i in range(c.end_ptr[t], c.end_ptr[t + 1]):
        h = c.end_hold[c.end[i]]
        left[h] -= 1
        if left[h] == 0:
            used[c.hold_device[h]] -= c.hold_size[h]
    return fits


@njit(nogil=True, cache=True)
def _fits(c: TaskColumns, order: IntArray) -> bool:
    """Whether the tasks fit the memory run one after the other."""
    used = np.zeros(len(c.room))
    left = c.releases.copy()
    for t in order:  # noqa: SIM110 (compiled code has no all())
        if not _execute(c, t, used, left):
            return False
    return True


@njit(nogil=True, cache=True)
def _is_safe(
    c: TaskColumns,
    t: int,
    order: IntArray,
    position: IntArray,
    first: int,
    started: NDArray[np.bool_],
    used: FloatArray,
    settled: FloatArray,
    left: IntArray,
) -> bool:
    """Whether t fits now and everything before it in the reference order still fits then."""
    need = np.zeros(len(c.room))
    for i in range(c.hold_ptr[t], c.hold_ptr[t + 1]):
        need[c.hold_device[c.hold[i]]] += c.hold_size[c.hold[i]]
    for k in range(len(c.room)):
        if need[k] > 0 and used[k] + need[k] > c.room[k]:
            return False
    if position[t] == first or c.hold_ptr[t] == c.hold_ptr[t + 1]:
        return True
    then = settled.copy()
    _execute(c, t, then, left)
    fits, last = True, first
    while fits and last < position[t]:
        if not started[order[last]]:
            fits = _execute(c, order[last], then, left)
        last += 1
    for p in range(first, last):  # undo: a copy of ``left`` would cost more than the question
        if not started[order[p]]:
            _take_back(c, order[p], left)
    _take_back(c, t, left)
    return fits


@njit(nogil=True, cache=True)
def _take_back(c: TaskColumns, t: int, left: IntArray) -> None:
    """Undo the releases of one task."""
    for i in range(c.end_ptr[t], c.end_ptr[t + 1]):
        left[c.end_hold[c.end[i]]] += 1


@njit(nogil=True, cache=True)
def _run_safely(c: TaskColumns, order: IntArray, urgency: FloatArray, limit: int) -> FloatArray:
    """Event-driven dispatch: at every instant start the most urgent task that is safe."""
    n = len(order)
    position = np.empty(n, np.int32)
    for p in range(n):
        position[order[p]] = p
    start = np.full(n, np.inf)
    started = np.zeros(n, np.bool_)
    ready_at = np.zeros(n)
    waiting = c.in_ptr[1:] - c.in_ptr[:-1]
    used, settled = np.zeros(len(c.room)), np.zeros(len(c.room))
    left_now, left = c.releases.copy(), c.releases.copy()
    free = np.zeros(c.n_resources)
    events = [(0.0, np.int64(-1))]  # (time, release that happens then, or −1: only look)
    first = 0
    while len(events) > 0:
        now = events[0][0]
        while len(events) > 0 and events[0][0] <= now:
            _, release = heapq.heappop(events)
            if release >= 0:
                h = c.end_hold[release]
                left_now[h] -= 1
                if left_now[h] == 0:
                    used[c.hold_device[h]] -= c.hold_size[h]
        while True:
            best = -1
            for p in range(first, min(n, first + limit + 1)):
                t = order[p]
                if started[t] or waiting[t] > 0:
                    continue
                if ready_at[t] > now or free[c.resource[t]] > now:
                    continue
                if best >= 0 and urgency[t] <= urgency[best]:
                    continue
                if _is_safe(c, t, order, position, first, started, used, settled, left):
                    best = t
            if best < 0:
                break
            t = best
            started[t] = True
            start[t] = now
            end = now + c.duration[t]
            free[c.resource[t]] = end
            for i in range(c.hold_ptr[t], c.hold_ptr[t + 1]):
                used[c.hold_device[c.hold[i]]] += c.hold_size[c.hold[i]]
            _execute(c, t, settled, left)
            heapq.heappush(events, (end, np.int64(-1)))
            for i in range(c.end_ptr[t], c.end_ptr[t + 1]):
                heapq.heappush(events, (end + c.end_lag[c.end[i]], np.int64(c.end[i])))
            for i in range(c.out_ptr[t], c.out_ptr[t + 1]):
                arc = c.out_arc[i]
                successor = c.arc_to[arc]
                ready_at[successor] = max(ready_at[successor], end + c.arc_lag[arc])
                waiting[successor] -= 1
                if waiting[successor] == 0 and ready_at[successor] > end:
                    heapq.heappush(events, (ready_at[successor], np.int64(-1)))
            while first < n and started[order[first]]:
                first += 1
    return start
