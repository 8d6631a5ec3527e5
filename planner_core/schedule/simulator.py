"""The simulator: times an order of operators, each as early as the order and the data allow."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from planner_core.problem import InputError, Problem
from planner_core.problem.graph import FloatArray, IntArray
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
    start = _dispatch(tasks, units, times)
    finish = start + tasks.duration
    pairs: list[tuple[int, int]] = []
    for block, time in times.items():
        if time < tasks.duration[list(block)].sum():
            chains = _chains(problem, block)
            begin = start[block[0]]
            for chain in chains:
                # A chain's operators share the block's time in proportion, one after the other.
                share = tasks.duration[chain]
                ends = begin + time * np.cumsum(share) / max(share.sum(), np.finfo(float).tiny)
                start[chain], finish[chain] = np.append(begin, ends[:-1]), ends
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
    return _dispatch(tasks, [[(task,) for task in row] for row in sequences], {})


def _check_complete(problem: Problem, device: IntArray, units: list[list[Block]]) -> None:
    graph = problem.graph
    seen = np.zeros(graph.n_operators, dtype=np.int64)
    for k, row in enumerate(units):
        for o in (o for unit in row for o in unit):
            seen[o] += 1
            if device[o] != k:
                raise DeadlockError(
                    f"the order of device '{problem.cluster.device_ids[k]}' lists operator "
                    f"'{graph.operator_ids[o]}', which is placed elsewhere"
                )
    if np.any(seen != 1):
        o = int(np.flatnonzero(seen != 1)[0])
        raise DeadlockError(
            f"the order lists operator '{graph.operator_ids[o]}' {seen[o]} times; list each once"
        )


def _dispatch(
    tasks: Tasks, order: Sequence[Sequence[Block]], block_times: dict[Block, float]
) -> FloatArray:
    """Serve units by earliest possible start; a unit is a task or a block of tasks."""
    unit_of = np.full(tasks.n_tasks, -1, dtype=np.int64)
    units: list[Block] = []
    queue: dict[int, list[int]] = {}  # resource → its sequenced units
    for row in order:
        for block in row:
            unit_of[list(block)] = len(units)
            queue.setdefault(int(tasks.resource[block[0]]), []).append(len(units))
            units.append(block)
    floating = np.flatnonzero(unit_of < 0)
    unit_of[floating] = np.arange(len(units), len(units) + len(floating))
    sequenced = len(units)
    units.extend((int(t),) for t in floating)

    resource = [int(tasks.resource[u[0]]) for u in units]
    length = [
        block_times.get(u, 0.0) if u in block_times else float(tasks.duration[list(u)].sum())
        for u in units
    ]
    successors: list[list[tuple[int, float]]] = [[] for _ in units]
    waiting = [0] * len(units)
    for a, b, lag in zip(
        unit_of[tasks.arc_from].tolist(),
        unit_of[tasks.arc_to].tolist(),
        tasks.arc_lag.tolist(),
        strict=True,
    ):
        if a != b:
            successors[a].append((b, lag))
            waiting[b] += 1

    head = dict.fromkeys(queue, 0)
    free = [0.0] * tasks.n_resources
    ready = [0.0] * len(units)
    begin = [-1.0] * len(units)
    heap: list[tuple[float, int, int]] = []

    def offer(u: int) -> None:
        """Queue a unit whose inputs are there and whose turn has come."""
        if waiting[u]:
            return
        r = resource[u]
        if u < sequenced and (head[r] >= len(queue[r]) or queue[r][head[r]] != u):
            return
        # Copies go before operators at equal times: they free what others wait for.
        heapq.heappush(heap, (max(ready[u], free[r]), u < sequenced, u))

    for u in range(len(units)):
        offer(u)
    done = 0
    while heap:
        time, _, u = heapq.heappop(heap)
        r = resource[u]
        if begin[u] >= 0:
            continue
        if free[r] > time:
            offer(u)
            continue
        begin[u] = time
        done += 1
        end = free[r] = time + length[u]
        for v, lag in successors[u]:
            ready[v] = max(ready[v], end + lag)
            waiting[v] -= 1
            offer(v)
        if u < sequenced:
            head[r] += 1
            if head[r] < len(queue[r]):
                offer(queue[r][head[r]])
    if done < len(units):
        _raise_deadlock(tasks, units, begin, sequenced)
    start = np.empty(tasks.n_tasks)
    for u, block in enumerate(units):
        if block in block_times and block_times[block] < tasks.duration[list(block)].sum():
            start[list(block)] = begin[u]
            continue
        time = begin[u]
        for task in block:
            start[task] = time
            time += tasks.duration[task]
    return start


def _raise_deadlock(tasks: Tasks, units: list[Block], begin: list[float], sequenced: int) -> None:
    names = tasks.problem.graph.operator_ids
    stuck = [names[units[u][0]] for u in range(sequenced) if begin[u] < 0][:4]
    raise DeadlockError(
        "the order cannot be run: "
        + ", ".join(f"'{name}'" for name in stuck)
        + " wait for operators that come later in the order"
    )
