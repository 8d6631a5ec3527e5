"""Classes of interchangeable tasks on each device, with their memory and precedence.

A pipeline of 8 stages and 20 micro-batches has 60 tasks on a device but three kinds of them.
Colour refinement finds the kinds in any graph: tasks start with equal colours if resource,
duration, head and tail are equal, and colours split until all tasks of a colour stand in equally
many relations (holds, precedence) of every kind. Averages over the colours of such an equitable
partition satisfy every linear relation that the tasks do (Ramana, Scheinerman and Ullman 1994,
"Fractional isomorphism of graphs"). Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.bounds.paths import Network, task_order
from planner_core.problem import RELATIVE_TOLERANCE
from planner_core.problem.graph import FloatArray
from planner_core.schedule.columns import group_rows
from planner_core.schedule.lattice import common_step
from planner_core.schedule.tasks import Tasks

IntArray = NDArray[np.integer[Any]]

PATH_WORK = 3e8
"""Arcs looked at to find longest paths between tasks of a device, at most."""
NEAREST = 8
"""Tasks of the same device further down than this many, in order, are not related to a task."""
ROUNDS = 20
"""Rounds of refinement; if colours still split, every task is its own class."""


@dataclass(frozen=True, eq=False)
class DeviceModel:
    """What one device has to run, by class.

    Parameters
    ----------
    head, duration, tail, resource, count : arrays, shape (C,)
        Per class: the common values and the number of tasks.
    pair_from, pair_to, pair_lag : arrays, shape (P,)
        A task of the one class starts ``pair_lag`` after the finish of one of the other.
    hold_from, hold_amount, hold_span : arrays, shape (H,)
        Class whose start allocates, total size, and least time from the allocating task's
        finish to the release; inf if it is never released.
    hold_release : list of H lists of (class, lag)
        Classes of this device whose finish the release waits for.
    resident, room : float
        Parameter memory, and what the limit leaves beside it.
    sizes : float array
        Distinct sizes of what is held.
    """

    head: FloatArray
    duration: FloatArray
    tail: FloatArray
    resource: IntArray
    count: IntArray
    pair_from: IntArray
    pair_to: IntArray
    pair_lag: FloatArray
    hold_from: IntArray
    hold_amount: FloatArray
    hold_span: FloatArray
    hold_release: list[list[tuple[int, float]]]
    resident: float
    room: float
    sizes: FloatArray


def device_models(network: Network, *, limited: bool) -> Iterator[DeviceModel]:
    """Yield the model of every device that holds tensors.

    If ``limited``, of those only whose memory could run out: all that they ever hold at once.
    """
    tasks = network.tasks
    assert tasks is not None
    memory = tasks.problem.cluster.memory
    home = tasks.resource_device[tasks.resource]
    # A hold counts from its producer's start; what arrives from elsewhere is left out.
    counted = (home[tasks.hold_task] == tasks.hold_device) & ~tasks.hold_at_finish
    wanted = np.ones(len(memory), dtype=bool)
    if limited:
        everything = np.bincount(tasks.hold_device, tasks.hold_size, len(memory))
        wanted = tasks.resident + everything > memory
    counted &= wanted[tasks.hold_device]
    holds = np.flatnonzero(counted)
    if not len(holds):
        return
    relations = _Relations(network, tasks, home, holds)
    color = relations.refine()
    for k in np.unique(tasks.hold_device[holds]).tolist():
        yield relations.model(k, color, float(memory[k]))


class _Relations:
    """Pairs and holds between tasks of one device, as rows."""

    def __init__(self, network: Network, tasks: Tasks, home: IntArray, holds: IntArray) -> None:
        self.network, self.tasks, self.home, self.holds = network, tasks, home, holds
        kept = np.isin(home, np.unique(tasks.hold_device[holds])) & (home >= 0)
        self.kept = kept
        n_arcs = len(tasks.arc_from)
        ptr, out = group_rows(tasks.arc_from, np.arange(n_arcs, dtype=np.int32), tasks.n_tasks)
        order, last = components(task_order(tasks), tasks.arc_from, tasks.arc_to)
        source = np.flatnonzero(kept)
        place = np.empty(tasks.n_tasks, dtype=np.int64)
        place[order] = np.arange(tasks.n_tasks)
        reach = np.repeat(np.arange(len(holds)), np.diff(tasks.release_ptr)[holds])
        self.release_hold = reach.astype(np.int32)
        rows = np.concatenate(
            [np.arange(tasks.release_ptr[h], tasks.release_ptr[h + 1]) for h in holds.tolist()]
        ).astype(np.int64)
        self.release_task, self.release_lag = tasks.release_task[rows], tasks.release_lag[rows]
        span = np.zeros(len(holds))
        span[np.diff(tasks.release_ptr)[holds] == 0] = np.inf
        if float((last[place[source]] - place[source]).sum()) <= PATH_WORK:
            hold_ptr, hold_row = group_rows(
                tasks.hold_task[holds], np.arange(len(holds), dtype=np.int32), tasks.n_tasks
            )
            row_ptr, row = group_rows(
                self.release_hold, np.arange(len(rows), dtype=np.int32), len(holds)
            )
            self.pair_from, self.pair_to, self.pair_lag = _paths(
                order,
                place,
                last,
                source,
                home,
                ptr,
                out,
                tasks.arc_to,
                tasks.arc_lag,
                tasks.duration,
                hold_ptr,
                hold_row,
                row_ptr,
                row,
                self.release_task,
                self.release_lag,
                span,
            )
        else:
            same = kept[tasks.arc_from] & (home[tasks.arc_from] == home[tasks.arc_to])
            self.pair_from, self.pair_to = tasks.arc_from[same], tasks.arc_to[same]
            self.pair_lag = tasks.arc_lag[same]
        self.span = span

    def refine(self) -> IntArray:
        """Color of every task so that the partition is equitable; −1 for tasks not kept."""
        network, tasks = self.network, self.tasks
        columns = np.column_stack([tasks.resource, network.duration, network.head, network.tail])
        color: IntArray = np.full(tasks.n_tasks, -1, dtype=np.int64)
        color[self.kept] = _ranks(columns[self.kept])
        for _ in range(ROUNDS):
            pair, hold = self.pair_colors(color), self.hold_colors(color)
            local = self.kept[self.release_task]
            split = _refined(
                color,
                np.concatenate(
                    [
                        self.pair_from,
                        self.pair_to,
                        tasks.hold_task[self.holds],
                        self.release_task[local],
                    ]
                ),
                np.concatenate(
                    [
                        4 * pair,
                        4 * pair + 1,
                        4 * hold + 2,
                        4 * hold[self.release_hold[local]] + 3,
                    ]
                ),
            )
            if split.max() == color.max():
                return color
            color = split
        color[self.kept] = np.arange(int(self.kept.sum()))
        return color

    def pair_colors(self, color: IntArray) -> IntArray:
        return _ranks(np.column_stack([color[self.pair_from], color[self.pair_to], self.pair_lag]))

    def hold_colors(self, color: IntArray) -> IntArray:
        """Color of each hold: size, span, its producer's color and its releases' colors."""
        tasks = self.tasks
        base = _ranks(
            np.column_stack(
                [color[tasks.hold_task[self.holds]], tasks.hold_size[self.holds], self.span]
            )
        )
        release = _ranks(np.column_stack([color[self.release_task], self.release_lag]))
        return _refined(base, self.release_hold, release)

    def model(self, k: int, color: IntArray, limit: float) -> DeviceModel:
        """Return the model of device k."""
        tasks, network = self.tasks, self.network
        members = np.flatnonzero(self.home == k)
        names, first, count = np.unique(color[members], return_index=True, return_counts=True)
        one = members[first]
        number = {int(c): i for i, c in enumerate(names.tolist())}
        mine = np.flatnonzero(self.home[self.pair_from] == k)
        _, rows = np.unique(self.pair_colors(color)[mine], return_index=True)
        pairs = mine[rows]
        here = np.flatnonzero(tasks.hold_device[self.holds] == k)
        _, rows, group = np.unique(
            self.hold_colors(color)[here], return_index=True, return_inverse=True
        )
        sizes = tasks.hold_size[self.holds]
        chosen = here[rows]
        releases: list[list[tuple[int, float]]] = []
        for h in chosen.tolist():
            ends = np.flatnonzero(self.release_hold == h)
            releases.append(
                sorted(
                    {
                        (number[int(color[self.release_task[e]])], float(self.release_lag[e]))
                        for e in ends
                        if self.home[self.release_task[e]] == k
                    }
                )
            )
        resident = float(tasks.resident[k])
        distinct = np.unique(sizes[here])
        return DeviceModel(
            head=network.head[one],
            duration=network.duration[one],
            tail=network.tail[one],
            resource=tasks.resource[one],
            count=count.astype(np.int32),
            pair_from=np.array([number[int(c)] for c in color[self.pair_from[pairs]]], np.int32),
            pair_to=np.array([number[int(c)] for c in color[self.pair_to[pairs]]], np.int32),
            pair_lag=self.pair_lag[pairs],
            hold_from=np.array(
                [number[int(c)] for c in color[tasks.hold_task[self.holds[chosen]]]], np.int32
            ),
            hold_amount=np.bincount(group.ravel(), weights=sizes[here]).astype(float),
            hold_span=self.span[chosen],
            hold_release=releases,
            resident=resident,
            room=room_of(limit, resident, distinct),
            sizes=distinct,
        )


def room_of(limit: float, resident: float, sizes: FloatArray) -> float:
    """Memory beside the resident, down to a multiple of the common step of the sizes."""
    room = limit * (1 + RELATIVE_TOLERANCE) - resident
    unit = common_step(sizes)
    return room if unit is None or not np.isfinite(room) else float(np.floor(room / unit) * unit)


def components(order: IntArray, arc_from: IntArray, arc_to: IntArray) -> tuple[IntArray, IntArray]:
    """Return a topological order by connected component, and where each place's component ends."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(order)
    graph = coo_matrix((np.ones(len(arc_from), dtype=bool), (arc_from, arc_to)), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    order = order[np.argsort(label[order], kind="stable")]
    ends = np.cumsum(np.bincount(label, minlength=1))
    return order.astype(np.int32), ends[label[order]].astype(np.int64)


@njit(nogil=True, cache=True)
def _paths(
    order: IntArray,
    place: IntArray,
    last: IntArray,
    source: IntArray,
    home: IntArray,
    ptr: IntArray,
    out: IntArray,
    to: IntArray,
    lag: FloatArray,
    duration: FloatArray,
    hold_ptr: IntArray,
    hold_row: IntArray,
    row_ptr: IntArray,
    row: IntArray,
    release_task: IntArray,
    release_lag: FloatArray,
    span: FloatArray,
) -> tuple[IntArray, IntArray, FloatArray]:
    """Longest paths from each source to later tasks of its device; spans of its holds in place."""
    n = len(order)
    distance = np.full(n, -np.inf)
    pairs = [(np.int32(0), np.int32(0), 0.0)]
    pairs.clear()
    for s in source:
        begin, end = place[s], last[place[s]]
        distance[s] = -duration[s]
        related = 0
        for q in range(begin, end):
            v = order[q]
            if distance[v] == -np.inf:
                continue
            if v != s and home[v] == home[s] and related < NEAREST:
                pairs.append((np.int32(s), np.int32(v), distance[v]))
                related += 1
            finish = distance[v] + duration[v]
            for i in range(ptr[v], ptr[v + 1]):
                a = out[i]
                distance[to[a]] = max(distance[to[a]], finish + lag[a])
        for i in range(hold_ptr[s], hold_ptr[s + 1]):
            h = hold_row[i]
            for j in range(row_ptr[h], row_ptr[h + 1]):
                e = row[j]
                r = release_task[e]
                span[h] = max(span[h], distance[r] + duration[r] + release_lag[e])
        for q in range(begin, end):
            distance[order[q]] = -np.inf
    m = len(pairs)
    first, second, least = np.empty(m, np.int32), np.empty(m, np.int32), np.empty(m)
    for i in range(m):
        first[i], second[i], least[i] = pairs[i]
    return first, second, least


def _ranks(columns: np.ndarray) -> IntArray:
    """Number equal rows alike."""
    if not len(columns):
        return np.zeros(0, dtype=np.int64)
    color = np.zeros(len(columns), dtype=np.int64)
    for column in columns.T:
        _, value = np.unique(column, return_inverse=True)
        color = np.unique(color * (value.max() + 1) + value, return_inverse=True)[1]
    return color


def _refined(color: IntArray, member: IntArray, label: IntArray) -> IntArray:
    """Split colors by the multiset of labels each member has (compared exactly); −1 stays −1."""
    if not len(member):
        return color
    order = np.lexsort((label, member))
    member, label = member[order], label[order]
    begins = np.flatnonzero(np.append(True, np.diff(member) > 0))
    counts = np.diff(np.append(begins, len(member)))
    rank = np.arange(len(member)) - np.repeat(begins, counts)
    result = color.copy()
    base = int(label.max()) + 2
    by_rank = np.argsort(rank, kind="stable")
    for rows in np.split(by_rank, np.cumsum(np.bincount(rank))[:-1]):
        mark = np.zeros(len(color), dtype=np.int64)
        mark[member[rows]] = label[rows] + 1
        kept = result >= 0
        result[kept] = np.unique(result[kept] * base + mark[kept], return_inverse=True)[1]
    return result
