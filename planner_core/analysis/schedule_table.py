"""A schedule as a table, one row an operator."""

from __future__ import annotations

import pandas as pd

from planner_core.problem import Problem
from planner_core.schedule import Schedule


def schedule_frame(problem: Problem, schedule: Schedule) -> pd.DataFrame:
    """Return operator, kind, stage, micro-batch, stream, device, start and finish by start."""
    frame = problem.graph.operators_frame()
    table = frame[["id", "kind", "stage", "micro_batch", "stream"]].rename(
        columns={"id": "operator"}
    )
    table["device"] = [problem.cluster.device_ids[k] for k in schedule.device]
    table["start"], table["finish"] = schedule.start, schedule.finish
    return table.sort_values(["start", "device"], kind="stable").reset_index(drop=True)
