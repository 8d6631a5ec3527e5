"""Branch and bound over (sequence, device) for up to a few dozen operators, compiled.

Operators are started one by one in the order of their start times, each as early as its device
and its inputs allow: every semi-active schedule is such a sequence. Nodes are cut by longest
paths over what is left, by the work left over devices (for the operators with long tails, and
for those with late heads), and by dominance: of two nodes that have started the same operators
the one that is nowhere earlier is dropped (state space as in Sinnen 2014, "Reducing the solution
space of optimal task scheduling"; dominance as in Jouglet and Carlier 2011). Durations are real.

Memory limits and queues for exclusive links and staged copies are not seen: with them the
result is a lower bound and no schedule. Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.bounds.paths import device_paths
from planner_core.milp.free_grid import interchangeable_devices, least_delays
from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule.columns import columns_of, overlapped_schedule
from planner_core.search.decoder import queues
from planner_core.search.state import SearchState

BRANCHED_OPERATORS = 60
"""Sets of started operators are kept as bits of one word."""

MEMORY_BYTES = 2**28
"""Most that the nodes remembered for dominance may take."""

WAYS = 16
"""Nodes remembered per bucket of the table."""

ROUNDING = 1e-12
"""Times that differ by less than this share of the makespan came of another order of adding."""

CALL_NODES = 20_000
"""Nodes between two looks at the clock: a few hundredths of a second."""


class Task(NamedTuple):
    """The problem as arrays: n operators, K devices.

    Parameters
    ----------
    duration, tail : float arrays, shape (n, K)
        inf where not allowed; least time from the finish on a device to the end.
    least, least_tail : float arrays, shape (n,)
        Over devices.
    by_tail : int array, shape (n,)
        Operators by falling least tail.
    stream, group : int arrays, shape (n,)
        Stream; colocation group or −1.
    in_ptr, in_operator, in_time : CSR, n rows; time of shape (e, K, K)
        Producers, and least time between finish and start on two devices.
    out_ptr, out_operator, out_time : CSR, n rows; the same for consumers
    like : int array, shape (K,)
        Devices with equal numbers are interchangeable.
    order : int array, shape (n,)
        Topological.
    placed : bool
        Whether every operator has one device only: then bounds look at each device by itself.
    """

    duration: FloatArray
    tail: FloatArray
    least: FloatArray
    least_tail: FloatArray
    by_tail: IntArray
    stream: IntArray
    group: IntArray
    in_ptr: IntArray
    in_operator: IntArray
    in_time: FloatArray
    out_ptr: IntArray
    out_operator: IntArray
    out_time: FloatArray
    like: IntArray
    order: IntArray
    placed: bool


class Node(NamedTuple):
    """The path from the root to the current node, row d for depth d.

    Parameters
    ----------
    started : uint64 array, shape (n + 1,)
        Bits of the operators started.
    now : float array, shape (n + 1,)
        Start of the last operator.
    free : float array, shape (n + 1, K, S)
    ready : float array, shape (n + 1, n, K)
        When the inputs from started producers are there.
    home : int array, shape (n + 1, groups)
        Device of each colocation group, −1 while open.
    used : bool array, shape (n + 1, K)
        Whether anything was started on a device.
    end : float array, shape (n + 1,)
        Latest finish.
    child, left : arrays, shape (n + 1, n · K), (n + 1,)
        Children still to be visited, o · K + k, the best last.
    device, start : arrays, shape (n,)
        Of the operators started.
    head, early, late, key, value : arrays, shapes (n, K), (n,), (n,), (n · K,), (width,)
        Room for the bounds.
    """

    started: NDArray[np.uint64]
    now: FloatArray
    free: FloatArray
    ready: FloatArray
    home: IntArray
    used: NDArray[np.bool_]
    end: FloatArray
    child: IntArray
    left: IntArray
    device: IntArray
    start: FloatArray
    head: FloatArray
    early: FloatArray
    late: IntArray
    key: FloatArray
    value: FloatArray


class Table(NamedTuple):
    """Nodes remembered: bucket by hash, WAYS entries each, replaced in turn."""

    key: NDArray[np.uint64]
    turn: IntArray
    value: FloatArray


def branch_and_bound(
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
    if branching is None or not branching.settle(branching.task):
        return False
    branching.prove("branch and bound")
    return True


class Branching:
    """Branch and bound on one problem: what it needs room for, and the least value it has seen.

    Parameters
    ----------
    state : SearchState
        Of the makespan.
    task : Task
    end : float
        When to give up, on the state's clock.
    leave : callable
        True means give up.
    """

    def __init__(
        self, state: SearchState, task: Task, end: float, leave: Callable[[], bool]
    ) -> None:
        problem = state.problem
        columns = columns_of(problem)
        self.state, self.task, self.end, self.leave = state, task, end, leave
        self.n, k = problem.graph.n_operators, problem.n_devices
        self.exact = not queues(columns) and not np.isfinite(problem.cluster.memory).any()
        streams = len(problem.graph.stream_names)
        self.node = _root(self.n, k, streams, len(problem.graph.colocation_names))
        width = k * streams + self.n * k
        buckets = 2 ** int(np.log2(MEMORY_BYTES / (8 * width * WAYS)))
        self.table = Table(
            np.zeros((buckets, WAYS), np.uint64),
            np.zeros(buckets, np.int32),
            np.empty((buckets, WAYS, width)),
        )
        self.device, self.start = np.zeros(self.n, np.int32), np.zeros(self.n)
        self.relaxed = np.inf

    @classmethod
    def of(cls, state: SearchState, end: float, leave: Callable[[], bool]) -> Branching | None:
        """Return the branch and bound of a problem; None if it has too many operators."""
        if not 0 < state.problem.graph.n_operators <= BRANCHED_OPERATORS:
            return None
        return cls(state, _task(state.problem), end, leave)

    @property
    def limit(self) -> float:
        """What a better schedule stays below."""
        return min(self.state.value, self.relaxed) * (1 - RELATIVE_TOLERANCE)

    @property
    def over(self) -> bool:
        """Whether to give up."""
        return self.state.stopped() or self.leave() or self.state.clock.elapsed >= self.end

    def settle(self, task: Task) -> bool:
        """Search until no schedule of a task is better (true), or until it is over.

        Several tasks of the same operators may follow each other: what is remembered of one
        holds for the next, for what remains to be run has its allowed devices written in it.
        """
        depth = 0
        _open(task, self.node, 0, self.limit)
        while not self.over:
            limit = self.limit
            depth, found = _run(
                task, self.node, self.table, depth, limit, CALL_NODES, self.device, self.start
            )
            if found < limit:
                self.relaxed = found
                self._offer()
            if depth < 0:
                return True
        return False

    def prove(self, name: str) -> None:
        """Raise the bound: no schedule is better than the best one known."""
        self.state.raise_bound(min(self.state.value, self.relaxed), name)

    def _offer(self) -> None:
        if not self.exact:
            return
        problem = self.state.problem
        own = problem.durations[np.arange(self.n), self.device]
        schedule = overlapped_schedule(
            problem, self.device.copy(), self.start.copy(), self.start + own
        )
        self.state.offer(schedule, "branch and bound")


def _task(problem: Problem) -> Task:
    graph, k = problem.graph, problem.n_devices
    columns = columns_of(problem)
    allowed = np.isfinite(problem.durations)
    grouped = graph.colocation >= 0
    allowed[grouped] = columns.group_allowed[graph.colocation[grouped]]
    duration = np.where(allowed, problem.durations, np.inf)
    _, tail = device_paths(columns, k, True)
    tail = np.where(allowed, tail, np.inf)
    times = least_delays(problem)
    in_ptr, into = graph.in_edges
    out_ptr, out = graph.out_edges
    like = np.arange(k, dtype=np.int32)
    for devices in interchangeable_devices(problem):
        like[devices] = devices[0]
    least_tail = tail.min(axis=1)
    return Task(
        duration=duration,
        tail=tail,
        least=duration.min(axis=1),
        least_tail=least_tail,
        by_tail=np.argsort(-least_tail, kind="stable").astype(np.int32),
        stream=graph.stream.astype(np.int32),
        group=graph.colocation.astype(np.int32),
        in_ptr=in_ptr.astype(np.int32),
        in_operator=graph.edge_source[into].astype(np.int32),
        in_time=np.ascontiguousarray(times[graph.edge_tensor[into]]),
        out_ptr=out_ptr.astype(np.int32),
        out_operator=graph.edge_target[out].astype(np.int32),
        out_time=np.ascontiguousarray(times[graph.edge_tensor[out]]),
        like=like,
        order=graph.topological_order.astype(np.int32),
        placed=bool(np.all(np.isfinite(duration).sum(axis=1) == 1)),
    )


def _root(n: int, k: int, streams: int, groups: int) -> Node:
    return Node(
        started=np.zeros(n + 1, np.uint64),
        now=np.zeros(n + 1),
        free=np.zeros((n + 1, k, streams)),
        ready=np.zeros((n + 1, n, k)),
        home=np.full((n + 1, max(1, groups)), -1, np.int32),
        used=np.zeros((n + 1, k), np.bool_),
        end=np.zeros(n + 1),
        child=np.zeros((n + 1, n * k), np.int32),
        left=np.zeros(n + 1, np.int32),
        device=np.zeros(n, np.int32),
        start=np.zeros(n),
        head=np.zeros((n, k)),
        early=np.zeros(n),
        late=np.zeros(n, np.int32),
        key=np.zeros(n * k),
        value=np.zeros(k * streams + n * k),
    )


@njit(nogil=True, cache=True)
def _run(
    task: Task,
    node: Node,
    table: Table,
    depth: int,
    limit: float,
    nodes: int,
    best_device: IntArray,
    best_start: FloatArray,
) -> tuple[int, float]:
    """Visit so many nodes; return the depth (−1: all done) and the best makespan found."""
    n, k_all = task.duration.shape
    found = float(np.inf)
    while nodes > 0 and depth >= 0:
        if node.left[depth] == 0:
            depth -= 1
            continue
        node.left[depth] -= 1
        code = node.child[depth, node.left[depth]]
        if not _start(task, node, depth, code // k_all, code % k_all, limit):
            continue
        nodes -= 1
        depth += 1
        if depth == n:
            if node.end[n] < limit:
                found = limit = float(node.end[n])
                best_device[:] = node.device
                best_start[:] = node.start
            depth -= 1
        elif (
            _overloaded(task, node, depth, limit)
            or _too_late(task, node, depth, limit)
            or _dominated(task, node, table, depth, ROUNDING * limit)
        ):
            depth -= 1
        else:
            _open(task, node, depth, limit)
    return depth, found


@njit(nogil=True, cache=True, inline="always")
def _begin(task: Task, node: Node, d: int, o: int, k: int) -> float:
    """Earliest start of an operator on a device, no earlier than the last one started."""
    return max(node.now[d], node.free[d, k, task.stream[o]], node.ready[d, o, k])


@njit(nogil=True, cache=True, inline="always")
def _may(task: Task, node: Node, d: int, o: int, k: int) -> bool:
    """Whether an operator is allowed on a device, its colocation group considered."""
    g = task.group[o]
    return not np.isinf(task.duration[o, k]) and (
        g < 0 or node.home[d, g] < 0 or node.home[d, g] == k
    )


@njit(nogil=True, cache=True, inline="always")
def _open(task: Task, node: Node, d: int, limit: float) -> None:
    """List the children of the node at depth d, the most promising last."""
    n, k_all = task.duration.shape
    count = 0
    key = node.key
    started = node.started[d]
    for o in range(n):
        if (started >> np.uint64(o)) & np.uint64(1):
            continue
        possible = True
        for i in range(task.in_ptr[o], task.in_ptr[o + 1]):
            if not (started >> np.uint64(task.in_operator[i])) & np.uint64(1):
                possible = False
                break
        if not possible:
            continue
        for k in range(k_all):
            if not _may(task, node, d, o, k):
                continue
            if not node.used[d, k]:
                first = True
                for other in range(k):
                    if task.like[other] == task.like[k] and not node.used[d, other]:
                        first = False
                if not first:
                    continue
            begin = _begin(task, node, d, o, k)
            rest = task.duration[o, k] + task.tail[o, k]
            if begin + rest >= limit:
                continue
            # Early starts first; of those, long tails.
            worth = begin - 0.5 * rest
            place = count
            while place > 0 and key[place - 1] < worth:
                key[place] = key[place - 1]
                node.child[d, place] = node.child[d, place - 1]
                place -= 1
            key[place] = worth
            node.child[d, place] = o * k_all + k
            count += 1
    node.left[d] = count


@njit(nogil=True, cache=True, inline="always")
def _start(task: Task, node: Node, d: int, o: int, k: int, limit: float) -> bool:
    """Write the node at depth d + 1: o started on k. False if it cannot be better."""
    begin = _begin(task, node, d, o, k)
    finish = begin + task.duration[o, k]
    if finish + task.tail[o, k] >= limit:
        return False
    node.started[d + 1] = node.started[d] | (np.uint64(1) << np.uint64(o))
    node.now[d + 1] = begin
    node.free[d + 1] = node.free[d]
    node.free[d + 1, k, task.stream[o]] = finish
    node.ready[d + 1] = node.ready[d]
    for i in range(task.out_ptr[o], task.out_ptr[o + 1]):
        p = task.out_operator[i]
        for b in range(task.duration.shape[1]):
            there = finish + task.out_time[i, k, b]
            node.ready[d + 1, p, b] = max(node.ready[d + 1, p, b], there)
    node.home[d + 1] = node.home[d]
    if task.group[o] >= 0:
        node.home[d + 1, task.group[o]] = k
    node.used[d + 1] = node.used[d]
    node.used[d + 1, k] = True
    node.end[d + 1] = max(node.end[d], finish)
    node.device[o] = k
    node.start[o] = begin
    return True


@njit(nogil=True, cache=True, inline="always")
def _overloaded(task: Task, node: Node, d: int, limit: float) -> bool:
    """Whether the work left with long tails does not fit in front of them."""
    k_all, streams = node.free.shape[1], node.free.shape[2]
    started = node.started[d]
    for s in range(streams):
        for part in range(k_all if task.placed else 1):
            devices = range(part, part + 1) if task.placed else range(k_all)
            work = 0.0
            for o in task.by_tail:
                if (started >> np.uint64(o)) & np.uint64(1) or task.stream[o] != s:
                    continue
                if task.placed and np.isinf(task.duration[o, part]):
                    continue
                work += task.least[o]
                room = 0.0
                for k in devices:
                    since = max(node.now[d], node.free[d, k, s])
                    room += max(0.0, limit - task.least_tail[o] - since)
                if work >= room:
                    return True
    return False


@njit(nogil=True, cache=True, inline="always")
def _too_late(task: Task, node: Node, d: int, limit: float) -> bool:
    """Whether longest paths, or the work left with late heads, reach the limit."""
    k_all = task.duration.shape[1]
    streams = node.free.shape[2]
    started = node.started[d]
    head, early, late = node.head, node.early, node.late
    left = 0
    for o in task.order:
        if (started >> np.uint64(o)) & np.uint64(1):
            continue
        for k in range(k_all):
            head[o, k] = _begin(task, node, d, o, k) if _may(task, node, d, o, k) else np.inf
        for i in range(task.in_ptr[o], task.in_ptr[o + 1]):
            p = task.in_operator[i]
            if (started >> np.uint64(p)) & np.uint64(1):
                continue
            for k in range(k_all):
                there = np.inf
                for a in range(k_all):
                    there = min(there, head[p, a] + task.duration[p, a] + task.in_time[i, a, k])
                head[o, k] = max(head[o, k], there)
        through, first = np.inf, np.inf
        for k in range(k_all):
            through = min(through, head[o, k] + task.duration[o, k] + task.tail[o, k])
            first = min(first, head[o, k])
        if through >= limit:
            return True
        early[o] = first
        place = left
        while place > 0 and early[late[place - 1]] < first:
            late[place] = late[place - 1]
            place -= 1
        late[place] = o
        left += 1
    for s in range(streams):
        for part in range(k_all if task.placed else 1):
            devices = range(part, part + 1) if task.placed else range(k_all)
            work, tail = 0.0, np.inf
            for o in late[:left]:
                if task.stream[o] != s or (task.placed and np.isinf(task.duration[o, part])):
                    continue
                work += task.least[o]
                tail = min(tail, task.least_tail[o])
                room = 0.0
                for k in devices:
                    room += max(0.0, limit - tail - max(early[o], node.free[d, k, s]))
                if work >= room:
                    return True
    return False


@njit(nogil=True, cache=True, inline="always")
def _dominated(task: Task, node: Node, table: Table, d: int, slack: float) -> bool:
    """Whether a remembered node is nowhere later; if not, remember this one."""
    n, k_all = task.duration.shape
    streams = node.free.shape[2]
    key = node.started[d]
    hashed = (key * np.uint64(11400714819323198485)) >> np.uint64(20)
    bucket = np.int64(hashed % np.uint64(table.key.shape[0]))
    # Interchangeable devices are put in the order in which they fall free.
    rank = np.empty(k_all, np.int64)
    for k in range(k_all):
        rank[k] = k
    for i in range(1, k_all):
        j = i
        while j > 0 and task.like[rank[j]] == task.like[rank[j - 1]]:
            a, b = rank[j - 1], rank[j]
            if node.free[d, a, 0] <= node.free[d, b, 0]:
                break
            rank[j - 1], rank[j] = b, a
            j -= 1
    value = node.value
    width = 0
    for i in range(k_all):
        for s in range(streams):
            value[width] = max(node.now[d], node.free[d, rank[i], s])
            width += 1
    for o in range(n):
        if (key >> np.uint64(o)) & np.uint64(1):
            continue
        for i in range(k_all):
            k = rank[i]
            value[width] = _begin(task, node, d, o, k) if _may(task, node, d, o, k) else np.inf
            width += 1
    for way in range(WAYS):
        if table.key[bucket, way] != key:
            continue
        other = table.value[bucket, way]
        dominated = True
        for i in range(width):
            if other[i] > value[i] + slack:
                dominated = False
                break
        if dominated:
            return True
    way = table.turn[bucket]
    table.turn[bucket] = (way + 1) % WAYS
    table.key[bucket, way] = key
    table.value[bucket, way, :width] = value[:width]
    return False
