"""Heuristics that merge operators without ever making a cycle, in compiled code.

Each is acyclic by construction. With *contraction* of an edge a → b a cycle appears only if
another path leads from a to b: there is none if a is b's only producer, or b is a's only
consumer. Operators of equal producers and equal consumers can be merged because any cycle
through the result existed before. Operators of one level have no paths between them. Intervals
of a topological order can only feed later intervals. (Herrmann, Özkaya, Uçar, Kaya and
Çatalyürek 2019, "Multilevel algorithms for acyclic partitioning of directed acyclic graphs",
give the conditions for edges and levels.)

Importing this module imports numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.problem.graph import FloatArray, IntArray, PtrArray
from planner_core.schedule.columns import group_rows

GROUP_CAP = 4.0
"""A colocation group may grow to this many caps: a forward operator comes with its backward
parts, and these are merged separately."""


class Coarse(NamedTuple):
    """A graph of macro-operators: q nodes, e edges.

    Parameters
    ----------
    work : float array, shape (q,)
    kind : int array, shape (q,)
        Only nodes of equal numbers may be merged (stream, allowed devices, micro-batch).
    group : int array, shape (q,)
        A colocation group, −1 for none; see :class:`Groups`.
    source, target, weight : arrays, shape (e,)
        Distinct edges by (source, target); ``weight`` is the size of what they carry.
    out_ptr : int array, shape (q + 1,)
        CSR over the edges.
    in_ptr, in_edge : CSR, q rows
        Edges into each node.
    order, level : int arrays, shape (q,)
        Topological order, and longest path (in edges) from a node without producers.
    """

    work: FloatArray
    kind: IntArray
    group: IntArray
    source: IntArray
    target: IntArray
    weight: FloatArray
    out_ptr: IntArray
    in_ptr: IntArray
    in_edge: IntArray
    order: IntArray
    level: IntArray


class Groups(NamedTuple):
    """Colocation groups that merging has united (a union-find forest) and the work of each."""

    parent: IntArray
    work: FloatArray


class Clusters(NamedTuple):
    """Nodes joined in one round: each node's first node, and the work and group found there."""

    root: IntArray
    work: FloatArray
    group: IntArray


def coarse_graph(
    work: FloatArray,
    kind: IntArray,
    group: IntArray,
    source: IntArray,
    target: IntArray,
    weight: FloatArray,
) -> Coarse:
    """Return a graph with its edges summed, sorted and levelled; edges inside a node go."""
    q = len(work)
    pair = source.astype(np.int64) * q + target
    pair, weight = pair[source != target], weight[source != target]
    order = np.argsort(pair, kind="stable")
    pair = pair[order]
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    total = np.add.reduceat(weight[order], first) if len(first) else np.zeros(0)
    tail = (pair[first] // q).astype(np.int32)
    head = (pair[first] % q).astype(np.int32)
    out_ptr = np.searchsorted(tail, np.arange(q + 1)).astype(np.int32)
    in_ptr, in_edge = group_rows(head, np.arange(len(head), dtype=np.int32), q)
    topological, level = _levels(out_ptr, head, in_ptr)
    return Coarse(
        work, kind, group, tail, head, total, out_ptr, in_ptr, in_edge, topological, level
    )


@njit(nogil=True, cache=True)
def _levels(out_ptr: IntArray, target: IntArray, in_ptr: IntArray) -> tuple[IntArray, IntArray]:
    q = len(out_ptr) - 1
    waiting = in_ptr[1:] - in_ptr[:-1]
    order = np.empty(q, np.int32)
    level = np.zeros(q, np.int32)
    count = 0
    for v in range(q):
        if waiting[v] == 0:
            order[count] = v
            count += 1
    done = 0
    while done < count:
        v = order[done]
        done += 1
        for e in range(out_ptr[v], out_ptr[v + 1]):
            w = target[e]
            level[w] = max(level[w], level[v] + 1)
            waiting[w] -= 1
            if waiting[w] == 0:
                order[count] = w
                count += 1
    return order[:count], level


@njit(nogil=True, cache=True)
def find(parent: IntArray, g: int) -> int:
    """Representative of a united colocation group; −1 for none."""
    if g < 0:
        return g
    while parent[g] != g:
        parent[g] = parent[parent[g]]
        g = parent[g]
    return g


@njit(nogil=True, cache=True)
def _join(c: Coarse, clusters: Clusters, groups: Groups, v: int, into: int, cap: float) -> bool:
    """Join a single node to the cluster of another if kinds, cap and groups allow."""
    r = clusters.root[into]
    if v == r or c.kind[v] != c.kind[r] or clusters.work[r] + c.work[v] > cap:
        return False
    a, b = find(groups.parent, clusters.group[r]), find(groups.parent, c.group[v])
    if a != b:
        load = groups.work[a] if a >= 0 else clusters.work[r]
        load += groups.work[b] if b >= 0 else c.work[v]
        if load > GROUP_CAP * cap:
            return False
        if a < 0:
            a = b
        elif b >= 0:
            groups.parent[b] = a
        groups.work[a] = load
    clusters.root[v] = r
    clusters.work[r] += c.work[v]
    clusters.group[r] = a
    return True


@njit(nogil=True, cache=True)
def _into_only_producer(
    c: Coarse, clusters: Clusters, groups: Groups, cap: float, chain: bool
) -> None:
    """Join nodes to their only producer; with ``chain`` only if they are its only consumer."""
    for v in c.order:
        if c.in_ptr[v + 1] - c.in_ptr[v] != 1:
            continue
        u = c.source[c.in_edge[c.in_ptr[v]]]
        if not chain or c.out_ptr[u + 1] - c.out_ptr[u] == 1:
            _join(c, clusters, groups, v, u, cap)


@njit(nogil=True, cache=True)
def _into_only_consumer(c: Coarse, clusters: Clusters, groups: Groups, cap: float) -> None:
    """Join nodes to their only consumer."""
    for v in c.order[::-1]:
        if c.out_ptr[v + 1] - c.out_ptr[v] == 1:
            _join(c, clusters, groups, v, c.target[c.out_ptr[v]], cap)


@njit(nogil=True, cache=True)
def _same_neighbours(c: Coarse, a: int, b: int) -> bool:
    """Whether two nodes have the same producers and the same consumers, compared one by one."""
    ins, outs = c.in_ptr[a + 1] - c.in_ptr[a], c.out_ptr[a + 1] - c.out_ptr[a]
    if c.in_ptr[b + 1] - c.in_ptr[b] != ins or c.out_ptr[b + 1] - c.out_ptr[b] != outs:
        return False
    for i in range(ins):  # rows are sorted by the other end
        if c.source[c.in_edge[c.in_ptr[a] + i]] != c.source[c.in_edge[c.in_ptr[b] + i]]:
            return False
    for i in range(outs):  # noqa: SIM110 (compiled code has no all())
        if c.target[c.out_ptr[a] + i] != c.target[c.out_ptr[b] + i]:
            return False
    return True


@njit(nogil=True, cache=True)
def _signatures(c: Coarse) -> NDArray[np.int64]:
    """Numbers that nodes of equal neighbours share (others may, too)."""
    signature = np.empty(len(c.work), np.int64)
    for v in range(len(c.work)):
        s = np.int64(c.kind[v])
        for i in range(c.in_ptr[v], c.in_ptr[v + 1]):
            s = (s * 1000003) ^ c.source[c.in_edge[i]]
        s = s * 1000003 + 7
        for e in range(c.out_ptr[v], c.out_ptr[v + 1]):
            s = (s * 1000003) ^ c.target[e]
        signature[v] = s
    return signature


@njit(nogil=True, cache=True)
def _siblings(
    c: Coarse,
    clusters: Clusters,
    groups: Groups,
    cap: float,
    by_signature: IntArray,
    signature: NDArray[np.int64],
) -> None:
    first = -1
    for v in by_signature:
        alike = first >= 0 and signature[v] == signature[first] and _same_neighbours(c, first, v)
        if not (alike and _join(c, clusters, groups, v, first, cap)):
            first = v


@njit(nogil=True, cache=True)
def _runs(
    c: Coarse,
    clusters: Clusters,
    groups: Groups,
    cap: float,
    row: IntArray,
    band: IntArray,
) -> None:
    """Join neighbours in ``row`` that lie in one band."""
    first = -1
    for v in row:
        if first < 0 or band[v] != band[first] or not _join(c, clusters, groups, v, first, cap):
            first = v


@njit(nogil=True, cache=True)
def _heavy_edges(c: Coarse, clusters: Clusters, groups: Groups, cap: float, parity: int) -> None:
    """Contract each node's heaviest edge from the level below, where it has one such edge only.

    Levels are taken in pairs. Inside a pair every joined node of the upper level has no other
    producer there, so no cluster feeds another cluster of two levels, only single nodes, which
    feed none of the pair.
    """
    for v in c.order:
        if c.level[v] == 0 or (c.level[v] + parity) % 2 == 0:
            continue
        below, heaviest, only = 0, 0.0, -1
        for i in range(c.in_ptr[v], c.in_ptr[v + 1]):
            e = c.in_edge[i]
            heaviest = max(heaviest, c.weight[e])
            if c.level[c.source[e]] == c.level[v] - 1:
                below += 1
                only = e
        if below == 1 and c.weight[only] >= heaviest:
            _join(c, clusters, groups, v, c.source[only], cap)


def merge_round(c: Coarse, groups: Groups, cap: float, method: str) -> IntArray:
    """Apply one heuristic once.

    Parameters
    ----------
    c : Coarse
    groups : Groups
        Updated in place.
    cap : float
        Work a node may reach by merging.
    method : str
        ``chains``, ``producers``, ``consumers``, ``siblings``, ``heavy edges`` (levels 0+1,
        2+3 …), ``heavy edges, odd`` (1+2, 3+4 …), ``levels`` or ``stages``.

    Returns
    -------
    int32 array, shape (q,)
        New node of each node, numbered 0, 1, …
    """
    q = len(c.work)
    clusters = Clusters(np.arange(q, dtype=np.int32), c.work.copy(), c.group.copy())
    if method in ("chains", "producers"):
        _into_only_producer(c, clusters, groups, cap, method == "chains")
    elif method == "consumers":
        _into_only_consumer(c, clusters, groups, cap)
    elif method == "siblings":
        signature = _signatures(c)
        by_signature = np.argsort(signature, kind="stable").astype(np.int32)
        _siblings(c, clusters, groups, cap, by_signature, signature)
    elif method == "levels":
        row = np.lexsort((_first_producer(c), c.kind, c.level)).astype(np.int32)
        _runs(c, clusters, groups, cap, row, c.level)
    elif method == "stages":
        _runs(c, clusters, groups, cap, c.order, np.zeros(q, dtype=np.int32))
    else:
        _heavy_edges(c, clusters, groups, cap, int(method.endswith("odd")))
    return np.unique(clusters.root, return_inverse=True)[1].ravel().astype(np.int32)


def _first_producer(c: Coarse) -> IntArray:
    has = np.diff(c.in_ptr) > 0
    first = np.full(len(c.work), -1, dtype=np.int32)
    first[has] = c.source[c.in_edge[c.in_ptr[:-1][has]]]
    return first


def contract(c: Coarse, node: IntArray) -> Coarse:
    """Return the graph whose nodes are those that :func:`merge_round` numbered."""
    q = int(node.max(initial=-1)) + 1
    kind, group = np.zeros(q, dtype=np.int32), np.full(q, -1, dtype=np.int32)
    kind[node] = c.kind
    grouped = c.group >= 0
    group[node[grouped]] = c.group[grouped]
    work = np.bincount(node, weights=c.work, minlength=q).astype(float)
    return coarse_graph(work, kind, group, node[c.source], node[c.target], c.weight)


@njit(nogil=True, cache=True)
def longest_path(order: IntArray, ptr: PtrArray, target: IntArray, work: FloatArray) -> float:
    """Longest path in work; ``target`` is CSR by ``ptr``, ``order`` topological."""
    begin = np.zeros(len(work))
    longest = 0.0
    for v in order:
        end = begin[v] + work[v]
        longest = max(longest, end)
        for i in range(ptr[v], ptr[v + 1]):
            begin[target[i]] = max(begin[target[i]], end)
    return longest
