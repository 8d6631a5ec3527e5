"""The simulator: times an order of operators, each as early as the order and the data allow."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, combinations

import numpy as np

from planner_core.problem import InputError, Problem
from planner_core.problem.graph import FloatArray, IntArray, csr_from_rows
from planner_core.schedule.compiled import run_sized
from planner_core.schedule.schedule import Schedule
from planner_core.schedule.tasks import Tasks, compile_tasks

Block = tuple[int, ...]
"""Operators that run as one: all inputs before the first starts, no result before the last ends."""

BlockTime = Callable[[Block], float | None]


class DeadlockError(InputError):
    """The order cannot be run: operators wait for each other."""


def simulate(
    problem: Problem,
    device: IntArray,
    order: Sequence[Sequence[int | Block]],
    block_time: BlockTime | None = None,
) -> Schedule:
    """Time an order of operators with the problem's durations and transfer times.

    Every operator starts as early as the order on its stream and its inputs allow. Transfers
    on exclusive links and staged copies are served first come, first served. Memory is not
    looked at: the validator does that.

    Parameters
    ----------
    problem : Problem
    device : int array, shape (n,)
        Device of every operator.
    order : sequence of K sequences
        What each device runs, in order; operators of different streams keep only the order
        within their stream. An entry may be a block, a tuple of operators of one stream.
    block_time : callable, optional
        Time of a block as one; ``None`` (also as an answer) means the sum of its parts, which
        then run one after the other inside the block.

    Returns
    -------
    Schedule

    Raises
    ------
    DeadlockError
        If the order does not list every operator once, or cannot be run.
    """
    tasks = compile_tasks(problem, device)
    units = [[(e,) if isinstance(e, (int, np.integer)) else tuple(e) for e in row] for row in order]
    _check_complete(problem, device, units)
    blocks = [unit for row in units for unit in row if len(unit) > 1]
    times = {b: t for b in blocks if block_time and (t := block_time(b)) is not None}
    every = [unit for row in units for unit in row]
    listed = np.fromiter(chain.from_iterable(every), dtype=np.int64)
    start = _dispatch(tasks, listed, np.array([len(unit) for unit in every], np.int64), times)
    finish = start + tasks.duration
    pairs: list[tuple[int, int]] = []
    for block, time in times.items():
        if time < tasks.duration[list(block)].sum():
            chains = _chains(problem, block)
            begin = start[block[0]]
            for row in chains:
                # A chain's operators share the block's time in proportion, one after the other.
                share = tasks.duration[row]
                ends = begin + time * np.cumsum(share) / max(share.sum(), np.finfo(float).tiny)
                start[row], finish[row] = np.append(begin, ends[:-1]), ends
            pairs.extend((a, b) for x, y in combinations(chains, 2) for a in x for b in y)
    schedule = tasks.schedule(start, finish)
    return replace(schedule, overlapped=np.array(pairs, dtype=np.int32).reshape(-1, 2))


def _chains(problem: Problem, block: Block) -> list[list[int]]:
    """Split a block into the groups of operators that depend on each other."""
    graph = problem.graph
    ptr, edges = graph.out_edges
    group = {o: n for n, o in enumerate(block)}
    for o in block:
        for target in graph.edge_target[edges[ptr[o] : ptr[o + 1]]].tolist():
            if target in group and group[target] != group[o]:
                old, new = group[target], group[o]
                group.update({x: new for x, n in group.items() if n == old})
    return [[o for o in block if group[o] == n] for n in sorted(set(group.values()))]


def earliest_starts(tasks: Tasks, sequences: Sequence[Sequence[int]]) -> FloatArray:
    """Earliest start of every task when each resource runs its tasks in the given sequence.

    Parameters
    ----------
    tasks : Tasks
    sequences : sequence of sequences of int
        Tasks in order, one sequence per device or per resource. Copies that no sequence names
        are served first come, first served.

    Returns
    -------
    float array, shape (T,)

    Raises
    ------
    DeadlockError
        If the sequences contradict the precedence.
    """
    listed = np.concatenate([np.asarray(row, dtype=np.int64) for row in sequences])
    return _dispatch(tasks, listed, np.ones(len(listed), dtype=np.int64), {})


def _check_complete(problem: Problem, device: IntArray, units: list[list[Block]]) -> None:
    graph = problem.graph
    rows = [np.fromiter(chain.from_iterable(row), dtype=np.int64) for row in units]
    for k, row in enumerate(rows):
        away = np.flatnonzero(device[row] != k)
        if len(away):
            raise DeadlockError(
                f"the order of device '{problem.cluster.device_ids[k]}' lists operator "
                f"'{graph.operator_ids[row[away[0]]]}', which is placed elsewhere"
            )
    seen = np.bincount(np.concatenate(rows), minlength=graph.n_operators)
    if np.any(seen != 1):
        o = int(np.flatnonzero(seen != 1)[0])
        raise DeadlockError(
            f"the order lists operator '{graph.operator_ids[o]}' {seen[o]} times; list each once"
        )


def _dispatch(
    tasks: Tasks, listed: np.ndarray, sizes: np.ndarray, block_times: dict[Block, float]
) -> FloatArray:
    """Serve units by earliest possible start; a unit is a task or a block of tasks.

    ``listed`` has the tasks of all units in order, ``sizes`` how many of them each unit takes.
    """
    sequenced = len(sizes)
    ends = np.cumsum(sizes)
    unit_of = np.full(tasks.n_tasks, -1, dtype=np.int64)
    unit_of[listed] = np.repeat(np.arange(sequenced), sizes)
    floating = np.flatnonzero(unit_of < 0)
    n = sequenced + len(floating)
    unit_of[floating] = np.arange(sequenced, n)
    resource = np.empty(n, dtype=np.int64)
    resource[unit_of] = tasks.resource
    length = np.bincount(unit_of, weights=tasks.duration, minlength=n)
    long = np.flatnonzero(sizes > 1).tolist()
    blocks = {u: tuple(listed[ends[u] - sizes[u] : ends[u]].tolist()) for u in long}
    for u, block in blocks.items():
        length[u] = block_times.get(block, length[u])
    queue_ptr, queue = csr_from_rows(resource[:sequenced], tasks.n_resources)
    arcs = np.flatnonzero(unit_of[tasks.arc_from] != unit_of[tasks.arc_to])
    before, after = unit_of[tasks.arc_from[arcs]], unit_of[tasks.arc_to[arcs]]
    ptr, out = csr_from_rows(before, n)
    begin = np.array(
        run_sized(
            _serve,
            n,
            resource,
            length,
            queue_ptr,
            queue,
            ptr,
            after[out],
            tasks.arc_lag[arcs[out]],
            np.bincount(after, minlength=n),
        )
    )
    if np.any(begin < 0):
        _raise_deadlock(tasks, listed[(ends - sizes)[begin[:sequenced] < 0]])
    start = begin[unit_of]
    for block in blocks.values():
        members = list(block)
        if block_times.get(block, np.inf) >= tasks.duration[members].sum():
            start[members] += np.append(0.0, np.cumsum(tasks.duration[members])[:-1])
    return start


def _serve(
    resource: IntArray,
    length: FloatArray,
    queue_ptr: IntArray,
    queue: IntArray,
    ptr: IntArray,
    successor: IntArray,
    lag: FloatArray,
    waiting: IntArray,
) -> list[float]:
    """Start of every unit, −1 for those that never can; the first ``len(queue)`` are queued.

    ``queue`` (CSR by resource) has the queued units in their order, ``ptr``, ``successor`` and
    ``lag`` the arcs by unit; ``waiting``, the number of arcs into each unit, is used up.
    """
    n, sequenced = len(resource), len(queue)
    head = [queue_ptr[r] for r in range(len(queue_ptr) - 1)]
    free = [0.0] * len(head)
    ready = [0.0] * n
    begin = [-1.0] * n
    heap = [(0.0, True, 0)]
    heap.clear()
    look_at = list(range(n))
    while True:
        # Queue the units whose inputs are there and whose turn has come.
        while len(look_at) > 0:
            u = look_at.pop()
            r = resource[u]
            if waiting[u] > 0 or begin[u] >= 0:
                continue
            if u < sequenced and (head[r] >= queue_ptr[r + 1] or queue[head[r]] != u):
                continue
            # Copies go before operators at equal times: they free what others wait for.
            heapq.heappush(heap, (max(ready[u], free[r]), u < sequenced, u))
        if len(heap) == 0:
            return begin
        time, _, u = heapq.heappop(heap)
        r = resource[u]
        if begin[u] >= 0:
            continue
        if free[r] > time:
            look_at.append(u)
            continue
        begin[u] = time
        end = time + length[u]
        free[r] = end
        for i in range(ptr[u], ptr[u + 1]):
            v = successor[i]
            ready[v] = max(ready[v], end + lag[i])
            waiting[v] -= 1
            if waiting[v] == 0:
                look_at.append(v)
        if u < sequenced:
            head[r] += 1
            if head[r] < queue_ptr[r + 1]:
                look_at.append(queue[head[r]])


def _raise_deadlock(tasks: Tasks, stuck: np.ndarray) -> None:
    names = tasks.problem.graph.operator_ids
    raise DeadlockError(
        "the order cannot be run: "
        + ", ".join(f"'{names[o]}'" for o in stuck[:4])
        + " wait for operators that come later in the order"
    )
