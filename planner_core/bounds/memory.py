"""Memory that every schedule needs, whatever its makespan."""

from __future__ import annotations

import numpy as np

from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.problem.graph import FloatArray

REACHABILITY_OPERATORS = 3_000
"""Up to here, tensors that must be alive while an operator runs are found exactly."""


def static_needs(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Return what each device holds in any case and what each operator adds to it there.

    Returns
    -------
    resident : float array, shape (K,)
        Parameter groups of the operators that can run nowhere else.
    need : float array, shape (n, K)
        Least memory in use on a device while the operator runs there; inf where not allowed.
    """
    graph, k = problem.graph, problem.n_devices
    n, fixed = graph.n_operators, problem.fixed_device
    resident = np.zeros(k)
    held = np.zeros((k, graph.n_groups), dtype=bool)
    users = np.repeat(np.arange(n), np.diff(graph.parameter_ptr))
    placed = fixed[users] >= 0
    held[fixed[users[placed]], graph.parameter_index[placed]] = True
    resident = held @ graph.group_size if graph.n_groups else resident
    own = graph.workspace + np.bincount(graph.producer, weights=graph.size, minlength=n)
    edges = np.unique(graph.edge_tensor.astype(np.int64) * n + graph.edge_target)
    own = own + np.bincount(edges % n, weights=graph.size[edges // n], minlength=n)
    need = np.where(np.isfinite(problem.durations), own[:, None] + resident[None, :], np.inf)
    if graph.n_groups:
        extra = ~held.T[graph.parameter_index] * graph.group_size[graph.parameter_index, None]
        np.add.at(need, users, extra)
    if problem.is_placed and n <= REACHABILITY_OPERATORS:
        need[np.arange(n), fixed] += _carried(problem)
    # What is held for no time at all does not count.
    need = np.where(problem.durations == 0, resident[None, :], need)
    return resident, need


def _carried(problem: Problem) -> FloatArray:
    """Size of the tensors made before each operator and used after it on its device, shape (n,)."""
    graph, device = problem.graph, problem.fixed_device
    n = graph.n_operators
    after = [0] * n  # bit sets: every operator that must come later
    before = [0] * n
    ptr, edges = graph.out_edges
    for o in graph.topological_order[::-1].tolist():
        for c in graph.edge_target[edges[ptr[o] : ptr[o + 1]]].tolist():
            after[o] |= after[c] | 1 << c
    ptr, edges = graph.in_edges
    for o in graph.topological_order.tolist():
        for p in graph.edge_source[edges[ptr[o] : ptr[o + 1]]].tolist():
            before[o] |= before[p] | 1 << p
    on_device = [0] * problem.n_devices
    for o in range(n):
        on_device[device[o]] |= 1 << o
    carried = np.zeros(n)
    for t in np.flatnonzero(graph.size > 0).tolist():
        producer = int(graph.producer[t])
        k = int(device[producer])
        consumers = [c for c in graph.consumers_of(t).tolist() if device[c] == k]
        spanned = after[producer] if graph.is_output[t] else 0
        for c in consumers:
            spanned |= after[producer] & before[c]
        for c in graph.consumers_of(t).tolist():
            spanned &= ~(1 << c)  # consumers count it as their input
        spanned &= on_device[k]
        while spanned:
            low = spanned & -spanned
            carried[low.bit_length() - 1] += graph.size[t]
            spanned ^= low
    return carried


def end_needs(problem: Problem) -> FloatArray:
    """Memory each device holds at the end: its parameter groups and outputs; shape (K,)."""
    graph, fixed = problem.graph, problem.fixed_device
    resident = static_needs(problem)[0]
    kept = np.flatnonzero(graph.is_output & (fixed[graph.producer] >= 0))
    np.add.at(resident, fixed[graph.producer[kept]], graph.size[kept])
    return resident


def total_need(problem: Problem) -> float:
    """Memory all devices together hold at the end: used groups once, and all outputs."""
    graph = problem.graph
    used = np.unique(graph.parameter_index)
    return float(graph.group_size[used].sum() + graph.size[graph.is_output].sum())


def colocated_need(problem: Problem) -> FloatArray:
    """Memory each colocation group holds at the end: its parameter groups and outputs; (c,)."""
    graph = problem.graph
    need = np.zeros(len(graph.colocation_names))
    users = np.repeat(graph.colocation, np.diff(graph.parameter_ptr)).astype(np.int64)
    inside = users >= 0
    n_groups = max(1, graph.n_groups)
    pairs = np.unique(users[inside] * n_groups + graph.parameter_index[inside])
    if len(pairs):
        np.add.at(need, pairs // n_groups, graph.group_size[pairs % n_groups])
    kept = np.flatnonzero(graph.is_output & (graph.colocation[graph.producer] >= 0))
    np.add.at(need, graph.colocation[graph.producer[kept]], graph.size[kept])
    return need


def least_peak(problem: Problem) -> float:
    """Peak memory that some device reaches in every schedule."""
    need = static_needs(problem)[1].min(axis=1).max(initial=0.0)
    shared = total_need(problem) / problem.n_devices
    together = colocated_need(problem).max(initial=0.0)
    return float(max(need, end_needs(problem).max(initial=0.0), shared, together))


def memory_infeasible(problem: Problem) -> str | None:
    """Return one sentence proving that no schedule meets the memory limits, or None."""
    graph, cluster = problem.graph, problem.cluster
    limit = cluster.memory * (1 + RELATIVE_TOLERANCE)
    if np.all(np.isinf(limit)):
        return None
    resident, need = static_needs(problem)
    at_end = end_needs(problem)
    for k in np.flatnonzero(at_end > limit).tolist():
        return (
            f"device '{cluster.device_ids[k]}' needs at least {at_end[k]:g}: its parameter groups "
            f"take {resident[k]:g} and its outputs {at_end[k] - resident[k]:g}; its limit is "
            f"{cluster.memory[k]:g}"
        )
    for o in np.flatnonzero(np.all(need > limit[None, :], axis=1)).tolist():
        k = int(np.argmin(need[o] - limit))
        others = "" if problem.fixed_device[o] >= 0 else ", and no other device has room either"
        return (
            f"device '{cluster.device_ids[k]}' needs at least {need[o, k]:g}: its parameter groups "
            f"take {resident[k]:g} and operator '{graph.operator_ids[o]}' alone needs "
            f"{need[o, k] - resident[k]:g}; its limit is {cluster.memory[k]:g}{others}"
        )
    together = colocated_need(problem)
    for c in np.flatnonzero(together > limit.min()).tolist():
        members = np.flatnonzero(graph.colocation == c)
        usable = np.isfinite(problem.durations[members]).all(axis=0)
        if len(members) and not np.any(usable & (limit >= together[c])):
            k = int(np.argmax(np.where(usable, limit, -np.inf)))
            return (
                f"colocation group '{graph.colocation_names[c]}' needs at least {together[c]:g} on "
                f"one device for its parameter groups and outputs; the largest limit it may use is "
                f"{cluster.memory[k]:g}, of device '{cluster.device_ids[k]}'; raise it or split "
                "the group"
            )
    total = total_need(problem)
    if total > limit.sum():
        return (
            f"the parameter groups and outputs take {total:g} together; all devices have "
            f"{cluster.memory.sum():g}"
        )
    return None
