"""A problem with free placement on a grid of time slots: durations, transfers and windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner_core.milp.grid import ROUNDING_SLACK, round_up
from planner_core.problem import Problem
from planner_core.problem.graph import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class FreeGrid:
    """Durations and transfer times in slots, rounded up.

    Parameters
    ----------
    problem : Problem
    slot : float
    allowed : bool array, shape (n, K)
        Devices of each operator, thinned where interchangeable devices make choices equal.
    duration, duration_down : int arrays, shape (n, K)
        Rounded up, and down; 0 where not allowed.
    transfer : float array, shape (m, K, K)
        Transfer time of each tensor in the time unit; inf without a link.
    """

    problem: Problem
    slot: float
    allowed: np.ndarray
    duration: IntArray
    duration_down: IntArray
    transfer: FloatArray

    @classmethod
    def of(cls, problem: Problem, slot: float) -> FreeGrid:
        """Round a problem to a grid."""
        allowed = distinct_devices(problem)
        times = np.where(allowed, problem.durations, 0.0)
        return cls(
            problem=problem,
            slot=slot,
            allowed=allowed,
            duration=round_up(times, slot),
            duration_down=np.floor(times / slot + ROUNDING_SLACK).astype(np.int32),
            transfer=transfer_times(problem),
        )

    def lag(self, tensor: int, source: int, target: int) -> int:
        """Slots from the producer's start on ``source`` to the arrival on ``target``."""
        producer = self.problem.graph.producer[tensor]
        time = self.problem.durations[producer, source] + self.transfer[tensor, source, target]
        return int(round_up(np.array([time]), self.slot)[0])

    def copy_slots(self, tensor: int, source: int, target: int) -> int:
        """Slots a transfer takes on its own (on an exclusive link, or staged)."""
        return int(round_up(self.transfer[[tensor], source, target], self.slot)[0])

    def windows(self, horizon: int) -> tuple[IntArray, IntArray]:
        """Earliest and latest start slot on each device, shape (n, K).

        Where a device is not possible the earliest is after the latest.
        """
        graph, n_devices = self.problem.graph, self.problem.n_devices
        never = 2 * max(0, horizon) + 1
        early = np.where(self.allowed, 0, never).astype(np.int64)
        late = np.where(self.allowed, horizon - self.duration, -1).astype(np.int64)
        lags = self._lags(never)
        order = graph.topological_order
        in_ptr, in_edges = graph.in_edges
        for p in order.tolist():
            for e in in_edges[in_ptr[p] : in_ptr[p + 1]].tolist():
                o, t = int(graph.edge_source[e]), int(graph.edge_tensor[e])
                reach = (early[o][:, None] + lags[t]).min(axis=0)
                early[p] = np.maximum(early[p], reach)
        out_ptr, out_edges = graph.out_edges
        for o in order[::-1].tolist():
            for e in out_edges[out_ptr[o] : out_ptr[o + 1]].tolist():
                p, t = int(graph.edge_target[e]), int(graph.edge_tensor[e])
                reach = (late[p][None, :] - lags[t]).max(axis=1)
                late[o] = np.minimum(late[o], reach)
        impossible = (early > late) | ~self.allowed
        early[impossible], late[impossible] = never, -1
        return early.astype(np.int32).reshape(-1, n_devices), late.astype(np.int32)

    def _lags(self, never: int) -> np.ndarray:
        """:meth:`lag` for all tensors and devices, ``never`` without a link; shape (m, K, K)."""
        graph = self.problem.graph
        time = np.where(self.allowed, self.problem.durations, 0.0)[graph.producer]
        total = time[:, :, None] + least_delays(self.problem)
        slots = np.full(total.shape, never, dtype=np.int64)
        finite = np.isfinite(total)
        slots[finite] = round_up(total[finite], self.slot)
        return slots


def transfer_times(problem: Problem) -> FloatArray:
    """Transfer time of every tensor between every two devices; shape (m, K, K)."""
    graph, cluster = problem.graph, problem.cluster
    times = cluster.latency[None] + graph.size[:, None, None] / cluster.bandwidth[None]
    fixed = np.flatnonzero(~np.isnan(graph.transfer))
    linked = np.where(cluster.has_link, 0.0, np.inf)
    times[fixed] = graph.transfer[fixed, None, None] + linked[None]
    diagonal = np.arange(problem.n_devices)
    times[:, diagonal, diagonal] = 0.0
    return times


def least_delays(problem: Problem) -> FloatArray:
    """Least time between a producer's finish and a consumer's start; shape (m, K, K).

    The transfer time; where transfers are staged, a copy out and a copy in for each end that is
    no host.
    """
    times = transfer_times(problem)
    if problem.cluster.staged:
        copies = (~problem.cluster.host).astype(float)
        both = np.broadcast_to(copies[:, None] + copies[None, :], times.shape)
        np.multiply(times, both, out=times, where=np.isfinite(times))
    return times


def distinct_devices(problem: Problem) -> np.ndarray:
    """Allowed devices, less those that an exchange of like devices makes superfluous.

    Of interchangeable devices the j-th operator (in topological order) needs to consider only
    the first j: whatever a plan does, the devices can be renamed in the order they are first
    used.
    """
    allowed = np.isfinite(problem.durations)
    groups = interchangeable_devices(problem)
    keep = allowed.copy()
    for group in groups:
        order = problem.graph.topological_order
        users = [o for o in order.tolist() if allowed[o, group].any()]
        for j, o in enumerate(users):
            keep[o, group[j + 1 :]] = False
    # Colocated operators need a device in common: the rule above may take it from the later.
    return allowed if np.any(problem.graph.colocation >= 0) else keep


def interchangeable_devices(problem: Problem) -> list[list[int]]:
    """Groups of devices that no rule tells apart."""
    cluster = problem.cluster
    groups: list[list[int]] = []
    for k in range(problem.n_devices):
        for group in groups:
            if all(_alike(problem, k, other) for other in group):
                group.append(k)
                break
        else:
            groups.append([k])
    return [group for group in groups if len(group) > 1 and cluster.n_devices > 1]


def _alike(problem: Problem, a: int, b: int) -> bool:
    cluster = problem.cluster
    if cluster.memory[a] != cluster.memory[b] or cluster.host[a] != cluster.host[b]:
        return False
    if not np.array_equal(problem.durations[:, a], problem.durations[:, b]):
        return False
    swap = np.arange(problem.n_devices)
    swap[[a, b]] = swap[[b, a]]
    return all(
        np.array_equal(table, table[np.ix_(swap, swap)])
        for table in (cluster.latency, cluster.bandwidth, cluster.exclusive)
    )
