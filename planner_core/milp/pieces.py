"""Which device does what, without when: loads, transfers and memory of an assignment.

Colocated operators, and operators that can run on one device only, move as one piece. Tensors
that join the same pieces are one net: a hyperedge from the producer to its consumers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner_core.milp.free_grid import interchangeable_devices
from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.problem.graph import FloatArray, IntArray, csr_from_rows


@dataclass(frozen=True, eq=False, kw_only=True)
class Pieces:
    """U pieces, N nets, G parameter groups (equal user sets merged), K devices, S streams.

    Parameters
    ----------
    problem : Problem
    piece_of : int array, shape (n,)
        Piece of every operator, in the order of the problem's operators.
    load : float array, shape (U, S, K)
        Time a piece keeps a stream busy, per schedule; inf where it may not run.
    need : float array, shape (U, K)
        Largest workspace + inputs + outputs of one of its operators that takes time there.
    kept : float array, shape (U,)
        Outputs held until the end.
    group_size, group_ptr, group_piece : arrays, CSR with G rows
        Parameter groups and the pieces that use them.
    producer, net_ptr, consumer : arrays, CSR with N rows
        Pieces that a net joins; the producer is none of its consumers.
    fixed, per_latency, per_size, volume : float arrays, shape (N,)
        Transfer time = fixed + per_latency · latency + per_size / bandwidth; ``volume`` is the
        memory moved per receiving device.
    """

    problem: Problem
    piece_of: IntArray
    load: FloatArray
    need: FloatArray
    kept: FloatArray
    group_size: FloatArray
    group_ptr: IntArray
    group_piece: IntArray
    producer: IntArray
    net_ptr: IntArray
    consumer: IntArray
    fixed: FloatArray
    per_latency: FloatArray
    per_size: FloatArray
    volume: FloatArray

    @property
    def count(self) -> int:
        """Number of pieces."""
        return len(self.load)

    @property
    def n_nets(self) -> int:
        """Number of nets."""
        return len(self.producer)

    @cached_property
    def allowed(self) -> np.ndarray:
        """Whether a piece may run on a device; shape (U, K)."""
        return np.asarray(np.isfinite(self.load).all(axis=1))

    @cached_property
    def limit(self) -> FloatArray:
        """Memory limits with the tolerance on top; shape (K,)."""
        return self.problem.cluster.memory * (1 + RELATIVE_TOLERANCE)

    @cached_property
    def weight(self) -> FloatArray:
        """Least load of each piece over all streams and devices: how heavy it is; shape (U,)."""
        return self.load.sum(axis=1).min(axis=1)

    @cached_property
    def alike(self) -> list[list[int]]:
        """Groups of interchangeable devices."""
        return interchangeable_devices(self.problem)

    @cached_property
    def ordered(self) -> IntArray:
        """Pieces by the topological place of their first operator; shape (U,)."""
        first = np.full(self.count, len(self.piece_of), dtype=np.int64)
        order = self.problem.graph.topological_order
        np.minimum.at(first, self.piece_of[order], np.arange(len(order)))
        return np.argsort(first, kind="stable").astype(np.int32)

    def net_time(self, net: int) -> FloatArray:
        """Transfer time of a net between devices, 0 where there is no link; shape (K, K)."""
        cluster = self.problem.cluster
        latency = np.where(cluster.has_link, cluster.latency, 0.0)
        times = self.fixed[net] + self.per_latency[net] * latency
        times = times + self.per_size[net] / cluster.bandwidth
        return np.where(np.eye(len(times), dtype=bool) | ~cluster.has_link, 0.0, times)

    def operators(self, device: IntArray) -> IntArray:
        """Device of every operator from the device of every piece."""
        return device[self.piece_of].astype(np.int32)

    def of_operators(self, device: IntArray) -> IntArray:
        """Device of every piece from the device of every operator."""
        chosen = np.zeros(self.count, dtype=np.int32)
        chosen[self.piece_of] = device
        return chosen

    def renamed(self, device: IntArray) -> IntArray:
        """Rename interchangeable devices in the order in which the heaviest pieces use them."""
        name = np.arange(self.problem.n_devices, dtype=np.int32)
        for group in self.alike:
            used = [k for k in dict.fromkeys(device[self.by_weight].tolist()) if k in group]
            used += [k for k in group if k not in used]
            name[used] = group
        return name[device].astype(np.int32)

    @cached_property
    def by_weight(self) -> IntArray:
        """Pieces, the heaviest first; shape (U,)."""
        return np.argsort(-self.weight, kind="stable").astype(np.int32)


def pieces_of(problem: Problem) -> Pieces:
    """Return the pieces and nets of a problem."""
    graph, k = problem.graph, problem.n_devices
    n, durations = graph.n_operators, np.asarray(problem.durations)
    piece_of = _piece_numbers(problem)
    count = int(piece_of.max(initial=-1)) + 1
    load = np.zeros((count, len(graph.stream_names), k))
    np.add.at(load, (piece_of, graph.stream), durations)
    nowhere = ~np.asarray(np.isfinite(load).all(axis=1))
    load[np.broadcast_to(nowhere[:, None, :], load.shape)] = np.inf
    own = graph.workspace + np.bincount(graph.producer, weights=graph.size, minlength=n)
    edges = np.unique(graph.edge_tensor.astype(np.int64) * n + graph.edge_target)
    own = own + np.bincount(edges % n, weights=graph.size[edges // n], minlength=n)
    need = np.zeros((count, k))
    # What is held for no time at all does not count.
    np.maximum.at(need, piece_of, np.where(durations > 0, own[:, None], 0.0))
    kept = np.zeros(count)
    np.add.at(kept, piece_of[graph.producer[graph.is_output]], graph.size[graph.is_output])
    return Pieces(
        problem=problem,
        piece_of=piece_of,
        load=load,
        need=need,
        kept=kept,
        **_groups(problem, piece_of),
        **_nets(problem, piece_of),
    )


def _piece_numbers(problem: Problem) -> IntArray:
    """Number pieces by first operator: colocated operators together, fixed ones by device."""
    graph, n = problem.graph, problem.graph.n_operators
    label = np.arange(n, dtype=np.int64)
    grouped = graph.colocation >= 0
    label[grouped] = n + graph.colocation[grouped]
    fixed = problem.fixed_device.astype(np.int64)
    home = np.full(n + len(graph.colocation_names), -1, dtype=np.int64)
    home[label[fixed >= 0]] = fixed[fixed >= 0]
    bound = home[label] >= 0
    label[bound] = 2 * n + len(graph.colocation_names) + home[label][bound]
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return rank[inverse.ravel()]


def _groups(problem: Problem, piece_of: IntArray) -> dict[str, Any]:
    graph = problem.graph
    users = np.repeat(piece_of.astype(np.int64), np.diff(graph.parameter_ptr))
    members: list[set[int]] = [set() for _ in range(graph.n_groups)]
    for piece, group in zip(users.tolist(), graph.parameter_index.tolist(), strict=True):
        members[group].add(piece)
    merged: dict[tuple[int, ...], float] = {}
    for group, used_by in enumerate(members):
        if used_by and graph.group_size[group] > 0:
            key = tuple(sorted(used_by))
            merged[key] = merged.get(key, 0.0) + float(graph.group_size[group])
    return {
        "group_size": np.array(list(merged.values()), dtype=float),
        "group_ptr": _ptr(len(key) for key in merged),
        "group_piece": np.array([p for key in merged for p in key], dtype=np.int32),
    }


def _nets(problem: Problem, piece_of: IntArray) -> dict[str, Any]:
    """Merge tensors with equal pins whose transfer times are proportional on every link."""
    graph, cluster = problem.graph, problem.cluster
    linked = cluster.has_link & ~np.eye(problem.n_devices, dtype=bool)
    even = not cluster.staged or (
        len(np.unique(cluster.latency[linked])) <= 1
        and len(np.unique(cluster.bandwidth[linked])) <= 1
    )
    pins = piece_of[graph.consumer].tolist()
    ptr, home = graph.consumer_ptr.tolist(), piece_of[graph.producer].tolist()
    rows: dict[tuple[Any, ...], list[float]] = {}
    for t in range(graph.n_tensors):
        consumers = tuple(sorted({p for p in pins[ptr[t] : ptr[t + 1]] if p != home[t]}))
        if not consumers:
            continue
        given, size = float(graph.transfer[t]), float(graph.size[t])
        timed = np.isnan(given)
        kind = None if even else (timed, size if timed else 0.0)
        row = rows.setdefault((home[t], consumers, kind), [0.0] * 4)
        row[0] += 0.0 if timed else given
        row[1] += timed
        row[2] += size if timed else 0.0
        row[3] += size
    table = np.array(list(rows.values()), dtype=float).reshape(-1, 4)
    return {
        "producer": np.array([key[0] for key in rows], dtype=np.int32),
        "net_ptr": _ptr(len(key[1]) for key in rows),
        "consumer": np.array([p for key in rows for p in key[1]], dtype=np.int32),
        "fixed": table[:, 0],
        "per_latency": table[:, 1],
        "per_size": table[:, 2],
        "volume": table[:, 3],
    }


def _ptr(lengths: Any) -> IntArray:
    return np.cumsum([0, *lengths]).astype(np.int32)


def users_by_row(
    rows: NDArray[Any], values: NDArray[Any], n_rows: int
) -> tuple[IntArray, IntArray]:
    """Group values by row: CSR (ptr, values)."""
    ptr, places = csr_from_rows(rows, n_rows)
    return ptr.astype(np.int32), values[places].astype(np.int32)
