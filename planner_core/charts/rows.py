"""Rows of a Gantt chart: one per device, or one per stream where a device uses several."""

from __future__ import annotations

import numpy as np

from planner_core.problem import Problem
from planner_core.problem.graph import IntArray
from planner_core.schedule import Schedule


def rows(problem: Problem, schedule: Schedule) -> tuple[list[str], IntArray]:
    """Names of the rows from top to bottom, and the row of every operator; shape (n,)."""
    graph = problem.graph
    used = sorted(
        set(zip(schedule.device.tolist(), graph.stream.tolist(), strict=True))
        | {(k, 0) for k in range(problem.n_devices)}
    )
    index = {key: i for i, key in enumerate(used)}
    names = [
        problem.cluster.device_ids[k] if s == 0 else f"· {graph.stream_names[s]}" for k, s in used
    ]
    pairs = zip(schedule.device.tolist(), graph.stream.tolist(), strict=True)
    row = [index[pair] for pair in pairs]
    return names, np.array(row, dtype=np.int32)
