"""The measures that plans minimise or keep within budgets."""

from __future__ import annotations

import numpy as np

from planner_core.problem import Problem
from planner_core.problem.graph import FloatArray
from planner_core.schedule.memory import memory_profiles
from planner_core.schedule.schedule import Schedule


def stream_loads(problem: Problem, schedule: Schedule) -> FloatArray:
    """Busy time of every stream of every device, staged copies included; shape (K, streams)."""
    graph, cluster = problem.graph, problem.cluster
    load = np.zeros((problem.n_devices, len(graph.stream_names)))
    own = problem.durations[np.arange(graph.n_operators), schedule.device]
    np.add.at(load, (schedule.device, graph.stream), own)
    if cluster.staged and len(schedule.transfers):
        rows = schedule.transfers
        time = problem.transfer_times(rows.tensor, rows.source, rows.target)
        into = ~cluster.host[rows.target]
        np.add.at(load[:, 0], rows.target[into], time[into])
        # The copy out happens once per tensor and takes as long as its slowest receiver's.
        out = ~cluster.host[rows.source]
        slowest = np.zeros(graph.n_tensors)
        np.maximum.at(slowest, rows.tensor[out], time[out])
        sent, row = np.unique(rows.tensor[out], return_index=True)
        np.add.at(load[:, 0], rows.source[out][row], slowest[sent])
    return load


def micro_batch_count(problem: Problem) -> int:
    """Micro-batches that one schedule of the problem processes."""
    repeated = 1 if problem.graph is problem.template else problem.micro_batches
    listed = int(problem.template.micro_batch.max(initial=-1)) + 1
    return max(1, repeated, listed)


def period(problem: Problem, schedule: Schedule) -> float:
    """Busiest stream's busy time per micro-batch (problem-model rule 9)."""
    return float(stream_loads(problem, schedule).max()) / micro_batch_count(problem)


def transfer_volume(problem: Problem, schedule: Schedule) -> float:
    """Memory moved between devices: tensor sizes, once per receiving device."""
    graph, device = problem.graph, schedule.device
    # From the placement, not from the listed transfers: those may be left out.
    crossing = device[graph.edge_source] != device[graph.edge_target]
    tensor = graph.edge_tensor[crossing].astype(np.int64)
    target = device[graph.edge_target[crossing]]
    pairs = np.unique(tensor * problem.n_devices + target)
    return float(graph.size[pairs // problem.n_devices].sum())


def peak_memory(problem: Problem, schedule: Schedule) -> float:
    """Largest memory in use on any device at any instant."""
    return max(profile.peak for profile in memory_profiles(problem, schedule))


def measure(name: str, problem: Problem, schedule: Schedule) -> float:
    """Value of one of :data:`planner_core.problem.MEASURES`."""
    if name == "makespan":
        return schedule.makespan
    functions = {"period": period, "peak_memory": peak_memory, "transfer": transfer_volume}
    return functions[name](problem, schedule)
