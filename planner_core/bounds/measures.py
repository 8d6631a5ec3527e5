"""The best bound on each measure."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from planner_core.bounds import assignment
from planner_core.bounds.bound import Bound
from planner_core.bounds.machines import load_bound, one_machine_bound
from planner_core.bounds.memory import least_peak
from planner_core.bounds.paths import Network, network_of
from planner_core.bounds.turnaround import least_memory, turnaround_bound
from planner_core.problem import Problem


def makespan_bound(problem: Problem, *, deadline: float | None = None) -> Bound:
    """Return the best lower bound on the makespan.

    Parameters
    ----------
    problem : Problem
    deadline : float, optional
        Value of ``time.monotonic()`` after which no further argument is tried.
    """
    best = Bound(0.0, "critical path")
    for bound in _makespan_bounds(problem, deadline):
        if bound.value > best.value:
            best = bound
        if deadline is not None and time.monotonic() > deadline:
            break
    return best


def makespan_bounds(problem: Problem) -> list[Bound]:
    """Return the lower bounds on the makespan, the cheap ones first."""
    return list(_makespan_bounds(problem, None))


def _makespan_bounds(problem: Problem, deadline: float | None) -> Iterator[Bound]:
    network = network_of(problem)
    found = [Bound(network.through, "critical path"), load_bound(network)]
    yield from found
    found.append(one_machine_bound(network))
    yield found[-1]
    if network.tasks is None:
        yield assignment.work_bound(problem, network)
    elif np.any(np.isfinite(problem.cluster.memory)):
        known = max(bound.value for bound in found)
        yield turnaround_bound(network, known, deadline)


def peak_memory_bound(problem: Problem) -> Bound:
    """Return the best lower bound on the peak memory, under the makespan budget if there is one.

    The value is inf if a makespan bound exceeds the budget.
    """
    best = Bound(least_peak(problem), "memory one operator or device needs")
    budget = problem.objective.subject_to.get("makespan")
    if budget is None:
        return best
    network = network_of(problem)
    known = _known(network)
    if known.value > budget * (1 + 1e-9):
        return Bound(np.inf, known.name)
    if network.tasks is not None:
        value = least_memory(network, float(budget))
        if value > best.value:
            best = Bound(value, "memory-turnaround bound")
    return best


def _known(network: Network) -> Bound:
    paths = Bound(network.through, "critical path")
    return max(paths, one_machine_bound(network), key=lambda bound: bound.value)


def period_bound(problem: Problem) -> Bound:
    """Return the best lower bound on the period (busiest stream's time per micro-batch)."""
    return assignment.period_bound(problem, network_of(problem))


def transfer_bound(problem: Problem) -> Bound:
    """Return a lower bound on the memory moved between devices.

    A tensor must move to every fixed device of a consumer that its producer cannot run on, and
    at least once if some consumer shares no allowed device with the producer.
    """
    graph, k = problem.graph, problem.n_devices
    allowed = np.isfinite(problem.durations)
    source, target = graph.edge_source, graph.edge_target
    apart = ~np.any(allowed[source] & allowed[target], axis=1)
    fixed = problem.fixed_device[target]
    known = apart & (fixed >= 0)
    pairs = np.unique(graph.edge_tensor[known].astype(np.int64) * k + fixed[known])
    moved = np.bincount(pairs // k, minlength=graph.n_tensors)
    moved[graph.edge_tensor[apart]] = np.maximum(moved[graph.edge_tensor[apart]], 1)
    return Bound(float(moved @ graph.size), "tensors that must change device")
