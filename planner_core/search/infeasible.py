"""When it cannot be done: which limit is to blame, by how much, and the nearest that works."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from planner_core.baselines.first_schedules import first_schedules
from planner_core.bounds import (
    Bound,
    makespan_bound,
    memory_infeasible,
    peak_memory_bound,
    period_bound,
    transfer_bound,
)
from planner_core.problem import RELATIVE_TOLERANCE, Objective, Problem
from planner_core.search.peak_memory import search_peak_memory
from planner_core.search.progress import Cancellation
from planner_core.search.state import Clock, SearchState

LOOK_SECONDS = 10.0
"""Seconds the search for the nearest limit that works gets, at most."""

SHARE = 0.3
"""Share of the time left that it gets."""

_BOUNDS = {
    "makespan": makespan_bound,
    "period": period_bound,
    "transfer": transfer_bound,
    "peak_memory": peak_memory_bound,
}


def why_infeasible(problem: Problem) -> str | None:
    """Return one sentence that proves without any search that there is no schedule, or None."""
    return memory_infeasible(problem) or _missing_link(problem) or _small_budget(problem)


def _missing_link(problem: Problem) -> str | None:
    """Find a tensor whose producer and consumer share no device and no link."""
    graph, cluster = problem.graph, problem.cluster
    linked = cluster.has_link | np.eye(problem.n_devices, dtype=bool)
    if linked.all():
        return None
    allowed = np.isfinite(problem.durations)
    reach = (allowed.astype(np.int32) @ linked.astype(np.int32)) > 0
    lost = ~np.any(reach[graph.edge_source] & allowed[graph.edge_target], axis=1)
    if not lost.any():
        return None
    e = int(np.flatnonzero(lost)[0])
    p, c = int(graph.edge_source[e]), int(graph.edge_target[e])
    a, b = (int(np.flatnonzero(allowed[o])[0]) for o in (p, c))
    return (
        f"tensor '{graph.tensor_ids[graph.edge_tensor[e]]}' must go from "
        f"'{graph.operator_ids[p]}' to '{graph.operator_ids[c]}', but no device of the one has a "
        f"link to a device of the other; add a link from '{cluster.device_ids[a]}' to "
        f"'{cluster.device_ids[b]}' or allow them a common device"
    )


def _small_budget(problem: Problem) -> str | None:
    """Find a budget below a proved bound on its measure."""
    for name, budget in problem.objective.subject_to.items():
        free = replace(problem, template=problem.graph, micro_batches=1, objective=Objective())
        bound: Bound = _BOUNDS[name](free)
        if bound.value > budget * (1 + RELATIVE_TOLERANCE):
            return (
                f"the budget for {name} is {budget:g}, {bound.value - budget:g} too little: the "
                f"{bound.name} proves that every schedule needs at least {bound.value:g}"
            )
    return None


def blame(problem: Problem, deadline: float, cancel: Cancellation) -> str:
    """Say which limit to blame for what a search has proved, by leaving one after the other out.

    Parameters
    ----------
    problem : Problem
        Of which it is proved that there is no schedule.
    deadline : float
        On ``time.monotonic()``.
    cancel : threading.Event
    """
    variants = _relaxations(problem)
    for what, relaxed in variants:
        share = (deadline - time.monotonic()) / len(variants)
        if _has_schedule(relaxed, max(0.5, share), cancel):
            return f"no placement and order keeps {what}; without that limit there is a schedule"
    return "no placement and order keeps the memory limits, the links and the budgets together"


def _relaxations(problem: Problem) -> list[tuple[str, Problem]]:
    found: list[tuple[str, Problem]] = []
    cluster, objective = problem.cluster, problem.objective
    for name, budget in objective.subject_to.items():
        rest = {key: value for key, value in objective.subject_to.items() if key != name}
        relaxed = replace(problem, objective=Objective(objective.minimize, rest))
        found.append((f"the budget of {budget:g} for {name}", relaxed))
    if np.any(np.isfinite(cluster.memory)):
        found.append(("the memory limits", problem.with_memory(np.inf)))
        if np.any(problem.graph.colocation >= 0):
            alone = replace(
                problem.template,
                colocation=np.full_like(problem.template.colocation, -1),
                colocation_names=(),
            )
            found.insert(
                len(found) - 1,
                (
                    "the colocation groups within the memory limits",
                    replace(problem, template=alone),
                ),
            )
    if not cluster.has_link.all():
        linked = replace(
            cluster,
            latency=np.where(cluster.has_link, cluster.latency, 0.0),
            bandwidth=np.where(cluster.has_link, cluster.bandwidth, np.inf),
        )
        found.append(("the links there are", replace(problem, cluster=linked)))
    return found


def _has_schedule(problem: Problem, seconds: float, cancel: Cancellation) -> bool:
    from planner_core.search.planner import search_measure

    if why_infeasible(problem) is not None:
        return False
    state = SearchState(
        problem, problem.objective.primary, Clock.start(seconds), cancel, target=np.inf
    )
    search_measure(state)
    return state.schedule is not None


def nearest_memory(problem: Problem, deadline: float, cancel: Cancellation) -> float | None:
    """Return the smallest memory limit, the same on every device, found to be enough, or None.

    Parameters
    ----------
    problem : Problem
        Its memory limits are left out of account, its other limits are not.
    deadline : float
        On ``time.monotonic()``.
    cancel : threading.Event
    """
    budgets = {k: v for k, v in problem.objective.subject_to.items() if k != "peak_memory"}
    free = replace(
        problem.with_memory(np.inf),
        template=problem.graph,
        micro_batches=1,
        objective=Objective(("peak_memory",), budgets),
    )
    if why_infeasible(free) is not None:
        return None
    left = deadline - time.monotonic()
    clock = Clock.start(min(LOOK_SECONDS, SHARE * left))
    state = SearchState(free, "peak_memory", clock, cancel)
    # A limit that works is known at once; the smallest one takes a search.
    for name, schedule in first_schedules(free):
        state.offer(schedule, name)
    search_peak_memory(state)
    return None if state.schedule is None else state.value
