"""Merge operators into fewer macro-operators, sized by the work one of them may hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from planner_core.merging.merged import Merged
from planner_core.problem import InputError, Problem
from planner_core.problem.graph import FloatArray, IntArray

METHODS: dict[str, tuple[str, ...]] = {
    "chains": ("chains",),
    "producers": ("producers",),
    "consumers": ("consumers",),
    "siblings": ("siblings",),
    "heavy edges": ("heavy edges", "heavy edges, odd"),
    "levels": ("levels",),
    "stages": ("stages",),
    "combined": (
        "chains",
        "producers",
        "consumers",
        "siblings",
        "heavy edges",
        "heavy edges, odd",
    ),
}
"""Heuristics by name and the rounds each repeats until it merges next to nothing."""

CAP_SHARE = 0.002
"""Cap that is tried first, as a share of the makespan bound."""

WORTHWHILE = 0.03
"""Rounds are repeated while they merge at least this share of the macro-operators."""


def merge(
    problem: Problem,
    method: str = "combined",
    *,
    cap: float | None = None,
    cap_share: float = CAP_SHARE,
    stopped: Callable[[], bool] = lambda: False,
) -> Merged:
    """Merge operators without ever making a cycle.

    Only operators of one stream, the same allowed devices and one micro-batch are merged, and
    colocation groups that merging unites stay small.

    Parameters
    ----------
    problem : Problem
    method : str
        One of :data:`METHODS`: ``chains`` (one producer, one consumer), ``producers`` (into the
        only producer), ``consumers`` (into the only consumer), ``siblings`` (equal neighbours),
        ``heavy edges`` (the heaviest tensors disappear), ``levels`` (neighbours on a level),
        ``stages`` (stretches of a topological order), ``combined`` (the first five by turns).
    cap : float, optional
        Work (least duration) one macro-operator may hold, in the time unit; default
        ``cap_share`` × max(critical path, work over devices).
    cap_share : float
    stopped : callable
        Looked at between rounds; true means merge no further.

    Returns
    -------
    Merged

    Raises
    ------
    InputError
        If the method is unknown or the cap is negative.

    Notes
    -----
    A cap on the work keeps parallelism where a cap on the number of macro-operators would merge
    it away: macro-operators are started when the last input is there, so large ones wait.
    """
    if method not in METHODS:
        raise InputError(f"there is no merging method '{method}'; use one of {', '.join(METHODS)}")
    if (cap is not None and not cap >= 0) or not cap_share >= 0:
        raise InputError("the cap is negative; use 0 or more")
    # Imported here: it imports numba.
    from planner_core.merging.coarse import Groups, coarse_graph, contract, find, merge_round

    graph = problem.graph
    work = np.ascontiguousarray(problem.durations.min(axis=1))
    coarse = coarse_graph(
        work,
        _kinds(problem),
        graph.colocation,
        graph.edge_source,
        graph.edge_target,
        graph.size[graph.edge_tensor],
    )
    if cap is None:
        cap = cap_share * simple_bound(problem, work, coarse.order)
    macro = np.arange(graph.n_operators, dtype=np.int32)
    n_groups = len(graph.colocation_names)
    grouped = graph.colocation >= 0
    load = np.bincount(graph.colocation[grouped], weights=work[grouped], minlength=n_groups)
    groups = Groups(np.arange(n_groups, dtype=np.int32), load.astype(float))
    before = np.inf
    while len(coarse.work) < (1 - WORTHWHILE) * before and not stopped():
        before = len(coarse.work)
        for rule in METHODS[method]:
            node = merge_round(coarse, groups, cap, rule)
            if int(node.max(initial=-1)) + 1 < len(coarse.work):
                macro, coarse = node[macro], contract(coarse, node)
    united = [find(groups.parent, g) for g in coarse.group.tolist()]
    return Merged(
        original=problem,
        macro=macro,
        colocation=np.array(united, dtype=np.int32),
        method=method,
        cap=float(cap),
    )


def simple_bound(problem: Problem, work: FloatArray, order: IntArray) -> float:
    """Max of the critical path and the work over devices; what caps are relative to."""
    from planner_core.merging.coarse import longest_path

    graph = problem.graph
    ptr, edges = graph.out_edges
    path = float(longest_path(order, ptr, graph.edge_target[edges], work))
    return max(path, float(work.sum()) / problem.n_devices)


def _kinds(problem: Problem) -> IntArray:
    """Numbers that only operators share that may be merged; shape (n,)."""
    graph = problem.graph
    durations = problem.durations
    rows = graph.stream.astype(np.int64)
    rows = _refined(rows, graph.micro_batch)
    if durations.strides[1] == 0:
        return rows.astype(np.int32)  # any device, all alike
    allowed = np.isfinite(durations)
    grouped = np.flatnonzero(graph.colocation >= 0)
    if len(grouped):
        common = np.ones((len(graph.colocation_names), allowed.shape[1]), dtype=bool)
        np.logical_and.at(common, graph.colocation[grouped], allowed[grouped])
        allowed[grouped] = common[graph.colocation[grouped]]
    for column in allowed.T:
        rows = _refined(rows, column)
    return rows.astype(np.int32)


def _refined(numbers: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Numbers that are equal where both the old numbers and the column are."""
    _, value = np.unique(column, return_inverse=True)
    pair = numbers * (int(value.max(initial=0)) + 1) + value.ravel()
    return np.unique(pair, return_inverse=True)[1].ravel()
