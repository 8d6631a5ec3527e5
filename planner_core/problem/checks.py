"""What a problem must satisfy before anything is planned; every message names the item."""

from __future__ import annotations

import numpy as np

from planner_core.problem.errors import ImpossibleInput, InputError
from planner_core.problem.graph import Graph
from planner_core.problem.problem import Problem


def check_problem(problem: Problem) -> None:
    """Check a problem; return if it is sound.

    Raises
    ------
    InputError
        For an empty graph or cluster, a number that is negative, infinite or not a number, a
        tensor its own producer consumes, a cycle, or an operator no device may run.
    ImpossibleInput
        If the operators of a colocation group have no device in common.
    """
    graph, cluster = problem.template, problem.cluster
    if graph.n_operators == 0:
        raise InputError("the graph has no operators; add at least one")
    if cluster.n_devices == 0:
        raise InputError("the cluster has no devices; add at least one")
    if problem.micro_batches < 1:
        raise InputError(f"micro_batches is {problem.micro_batches}; it must be 1 or more")
    _check_numbers(problem)
    own = np.flatnonzero(graph.edge_source == graph.edge_target)
    if len(own):
        t = graph.edge_tensor[own[0]]
        name = graph.operator_ids[graph.producer[t]]
        raise InputError(
            f"tensor '{graph.tensor_ids[t]}' is consumed by its own producer '{name}'; "
            "remove it from the consumers"
        )
    _check_acyclic(graph)
    if problem.micro_batches > 1 and np.any(graph.micro_batch >= 0):
        o = int(np.flatnonzero(graph.micro_batch >= 0)[0])
        raise InputError(
            f"operator '{graph.operator_ids[o]}' names its micro_batch although micro_batches is "
            f"{problem.micro_batches}; give one or the other"
        )
    _check_devices(problem)


def _check_numbers(problem: Problem) -> None:
    graph, cluster = problem.template, problem.cluster
    by_type = np.isnan(graph.duration)
    given = np.where(by_type, 0.0, graph.duration)
    _non_negative(given, graph.operator_ids, "operator", "duration")
    named = by_type & np.all(np.isnan(graph.duration_by_type), axis=1)
    if named.any():
        o = int(np.flatnonzero(named)[0])
        raise InputError(f"operator '{graph.operator_ids[o]}' has no duration; give it a number")
    for j, name in enumerate(graph.type_names):
        column = graph.duration_by_type[:, j]
        column = np.where(np.isnan(column), 0.0, column)
        _non_negative(column, graph.operator_ids, "operator", f"duration on {name}")
    _non_negative(graph.workspace, graph.operator_ids, "operator", "workspace")
    _non_negative(graph.size, graph.tensor_ids, "tensor", "size")
    fixed = np.where(np.isnan(graph.transfer), 0.0, graph.transfer)
    _non_negative(fixed, graph.tensor_ids, "tensor", "transfer time")
    _non_negative(graph.group_size, graph.group_ids, "parameter group", "size")
    devices = np.array(cluster.device_ids, dtype=object)
    limited = np.where(np.isposinf(cluster.memory), 0.0, cluster.memory)
    _non_negative(limited, devices, "device", "memory")
    _non_negative(cluster.speed, devices, "device", "speed")
    slow = np.flatnonzero(cluster.speed <= 0)
    if len(slow):
        raise InputError(f"device '{devices[slow[0]]}' has speed 0; it must be above 0")
    for a, b in np.argwhere(cluster.has_link & ~np.eye(len(devices), dtype=bool)):
        link = f"the link from '{devices[a]}' to '{devices[b]}'"
        if not cluster.latency[a, b] >= 0:
            raise InputError(f"{link} has latency {cluster.latency[a, b]:g}; use 0 or more")
        if not cluster.bandwidth[a, b] > 0:
            raise InputError(f"{link} has bandwidth {cluster.bandwidth[a, b]:g}; use more than 0")
    for measure, budget in problem.objective.subject_to.items():
        if not (np.isfinite(budget) and budget >= 0):
            raise InputError(f"the budget for {measure} is {budget:g}; use 0 or more")


def _non_negative(values: np.ndarray, ids: np.ndarray, what: str, column: str) -> None:
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        i = int(bad[0])
        raise InputError(
            f"{what} '{ids[i]}' has {column} {values[i]:g}; it must be a finite number, 0 or more"
        )


def _check_acyclic(graph: Graph) -> None:
    cycle = graph.find_cycle()
    if cycle is None:
        return
    names = [f"'{graph.operator_ids[o]}'" for o in (*cycle, cycle[0])]
    if len(names) > 8:
        names = [*names[:4], "…", *names[-3:]]
    raise InputError(
        f"the graph has a cycle: {' → '.join(names)}; remove one of these dependencies"
    )


def _check_devices(problem: Problem) -> None:
    graph, cluster = problem.template, problem.cluster
    for s, names in enumerate(graph.device_sets):
        users = np.flatnonzero(graph.device_set == s)
        if not len(users):
            continue
        first = graph.operator_ids[users[0]]
        if not names:
            raise InputError(
                f"operator '{first}' has an empty device list; name a device or leave devices out"
            )
        for name in names:
            if name not in cluster.device_index:
                raise InputError(
                    f"operator '{first}' names device '{name}', which does not exist; "
                    f"the devices are {_some(cluster.device_ids)}"
                )
    nowhere = np.flatnonzero(~np.isfinite(problem.durations).any(axis=1))
    if len(nowhere):
        o = int(nowhere[0])
        types = [str(t) for t in dict.fromkeys(cluster.device_types)]
        raise InputError(
            f"no device can run operator '{problem.graph.operator_ids[o]}': it gives no duration "
            f"for the types of the devices it may use; the cluster has types {_some(types)}"
        )
    allowed = np.isfinite(problem.durations)
    full = problem.graph
    together = np.flatnonzero(full.colocation >= 0)
    if not len(together):
        return
    together = together[np.argsort(full.colocation[together], kind="stable")]
    groups, first = np.unique(full.colocation[together], return_index=True)
    apart = ~np.logical_and.reduceat(allowed[together], first, axis=0).any(axis=1)
    if apart.any():
        raise ImpossibleInput(
            f"the operators of colocation group '{full.colocation_names[groups[apart][0]]}' have "
            "no device in common; widen their device lists or remove the group"
        )


def _some(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else f"{shown}, … ({len(names)} in all)"
