"""Which operators must share a pipeline stage, and in which order stages may take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from planner_core.problem import KIND_CODE, NotApplicable
from planner_core.problem.graph import Graph, IntArray
from planner_core.problem.pipeline import PHASES, TAIL, phases

FORWARD = PHASES.index("forward")


@dataclass(frozen=True, eq=False, kw_only=True)
class StageUnits:
    """Units: groups of operators that share a stage, as a DAG.

    Parameters
    ----------
    unit : int32 array, shape (n,)
        Unit of every operator; units are numbered in a topological order.
    count : int
        Number of units u.
    source, target : int32 arrays
        Distinct pairs of units: the source's stage must not come after the target's.
    phase : int8 array, shape (n,)
        Phase of every operator, see :func:`planner_core.problem.pipeline.phases`.
    """

    unit: IntArray
    count: int
    source: IntArray
    target: IntArray
    phase: NDArray[np.int8]

    @classmethod
    def of(cls, graph: Graph) -> StageUnits:
        """Group the operators of a forward or training graph.

        Together stay: colocation groups; a backward operator and the forward operator whose
        activation it reads; the same operator of every micro-batch; an operator outside all
        micro-batches (an optimizer step) and what feeds it. Forward edges go up the stages,
        backward edges down; what then forms a cycle is one unit.

        Raises
        ------
        NotApplicable
            If micro-batches differ in their operators, or an operator is neither part of the
            forward nor of the backward pass.
        """
        phase = _phases(graph)
        n = graph.n_operators
        rank = np.empty(n, dtype=np.int64)
        rank[graph.topological_order] = np.arange(n)
        pairs = [_colocated(graph), _counterparts(graph)]
        root = _components(n, np.concatenate(pairs, axis=1))
        # Each step sees what the one before has tied: a backward part follows its own forward.
        for step in (_backward_ties, _tail_ties):
            pairs.append(step(graph, phase, rank, root))
            root = _components(n, np.concatenate(pairs, axis=1))
        a, b = graph.edge_source, graph.edge_target
        up = (phase[a] == FORWARD) & (phase[b] == FORWARD)
        backward = (phase != FORWARD) & (phase != TAIL)
        down = backward[a] & backward[b]
        source = np.concatenate([root[a[up]], root[b[down]]])
        target = np.concatenate([root[b[up]], root[a[down]]])
        knot = _components(int(root.max()) + 1, np.stack([source, target]), "strong")
        source, target = knot[source], knot[target]
        apart = source != target
        edges = np.unique(np.stack([source[apart], target[apart]], axis=1), axis=0)
        first = np.full(int(knot.max()) + 1, n, dtype=np.int64)
        np.minimum.at(first, knot[root], rank)
        number = _topological_numbers(edges, first)
        edges = number[edges]
        return cls(
            unit=number[knot[root]].astype(np.int32),
            count=len(first),
            source=edges[:, 0].astype(np.int32),
            target=edges[:, 1].astype(np.int32),
            phase=phase,
        )

    def neighbours(self) -> tuple[list[list[int]], list[list[int]]]:
        """Units before and behind every unit."""
        before: list[list[int]] = [[] for _ in range(self.count)]
        behind: list[list[int]] = [[] for _ in range(self.count)]
        for a, b in zip(self.source.tolist(), self.target.tolist(), strict=True):
            before[b].append(a)
            behind[a].append(b)
        return before, behind


def _phases(graph: Graph) -> NDArray[np.int8]:
    """Phases; in a graph without backward pass every operator is forward."""
    backward = [KIND_CODE[kind] for kind in PHASES[1:]]
    if not np.isin(graph.kind, backward).any():
        return np.zeros(graph.n_operators, dtype=np.int8)
    micro_batch = graph.micro_batch
    if np.all(micro_batch < 0):
        micro_batch = np.zeros_like(micro_batch)
    return phases(graph, micro_batch)


def _components(n: int, pairs: NDArray[np.int64], connection: str = "weak") -> NDArray[np.int64]:
    """Component of each of n nodes joined by pairs, shape (2, e)."""
    ones = np.ones(pairs.shape[1], dtype=np.int8)
    matrix = coo_array((ones, (pairs[0], pairs[1])), shape=(n, n)).tocsr()
    return connected_components(matrix, connection=connection)[1].astype(np.int64)


def _chained(groups: NDArray[np.int64], members: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs that join the members of every group to one component."""
    order = np.argsort(groups, kind="stable")
    members, groups = members[order], groups[order]
    same = groups[1:] == groups[:-1]
    return np.stack([members[:-1][same], members[1:][same]])


def _colocated(graph: Graph) -> NDArray[np.int64]:
    members = np.flatnonzero(graph.colocation >= 0)
    return _chained(graph.colocation[members].astype(np.int64), members)


def _counterparts(graph: Graph) -> NDArray[np.int64]:
    """The same operator of every micro-batch: the j-th of each, if they are alike."""
    members = np.flatnonzero(graph.micro_batch >= 0)
    members = members[np.argsort(graph.micro_batch[members], kind="stable")]
    if not len(members):
        return np.empty((2, 0), dtype=np.int64)
    sizes = np.unique(graph.micro_batch[members], return_counts=True)[1]
    table = members.reshape(len(sizes), -1) if len(set(sizes.tolist())) == 1 else None
    if table is None or np.any(graph.kind[table] != graph.kind[table[0]]):
        raise NotApplicable(
            "micro-batches differ in their operators, so no stages can be derived; list the "
            "same operators in the same order in every micro-batch"
        )
    position = np.tile(np.arange(table.shape[1]), len(sizes))
    return _chained(position, table.ravel())


def _backward_ties(
    graph: Graph,
    phase: NDArray[np.int8],
    rank: NDArray[np.int64],
    root: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Tie backward operators to the forward operator they read from, else to the backward one.

    Of several, the latest: the others feed that one.
    """
    has_forward = np.zeros(len(root), dtype=bool)
    has_forward[root[phase == FORWARD]] = True
    lost = (phase != FORWARD) & (phase != TAIL) & ~has_forward[root]
    a, b = graph.edge_source, graph.edge_target
    from_forward = lost[b] & (phase[a] == FORWARD)
    tied = np.zeros(len(phase), dtype=bool)
    tied[b[from_forward]] = True
    from_backward = lost[b] & ~tied[b] & (phase[a] != FORWARD)
    chosen = from_forward | from_backward
    return _latest(a[chosen], b[chosen], rank)


def _tail_ties(
    graph: Graph,
    phase: NDArray[np.int8],
    rank: NDArray[np.int64],
    root: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Tie operators that run after all micro-batches to what feeds them."""
    a, b = graph.edge_source, graph.edge_target
    alone = np.bincount(root, minlength=len(root))[root] == 1
    chosen = (phase[b] == TAIL) & alone[b]
    return _latest(a[chosen], b[chosen], rank)


def _latest(
    sources: NDArray[np.int32], targets: NDArray[np.int32], rank: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Of every target the source that comes last in the topological order."""
    order = np.lexsort((rank[sources], targets))
    sources, targets = sources[order], targets[order]
    last = np.append(targets[1:] != targets[:-1], True)[: len(targets)]
    return np.stack([sources[last], targets[last]]).astype(np.int64)


def _topological_numbers(edges: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number units topologically, following a branch to its end before the next one.

    ``first`` is the rank of a unit's first operator; it decides which branch goes first.
    """
    count = len(first)
    behind: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for a, b in edges.tolist():
        behind[a].append(b)
        waiting[b] += 1
    ready = sorted((u for u in range(count) if not waiting[u]), key=lambda u: -int(first[u]))
    number = np.full(count, -1, dtype=np.int64)
    done = 0
    while ready:
        u = ready.pop()
        number[u] = done
        done += 1
        freed = []
        for v in behind[u]:
            waiting[v] -= 1
            if not waiting[v]:
                freed.append(v)
        ready.extend(sorted(freed, key=lambda v: -int(first[v])))
    return number
