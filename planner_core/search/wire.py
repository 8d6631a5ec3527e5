"""Progress events and plans as JSON documents, one a line, between a worker and its parent."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner_core.problem import Problem
from planner_core.schedule import Plan, Schedule, Transfers
from planner_core.search.progress import ModelSize, Progress


def progress_document(progress: Progress) -> dict[str, Any]:
    """Return a progress event as a JSON document."""
    size = progress.model_size
    return {
        "event": "progress",
        "phase": progress.phase,
        "elapsed": progress.elapsed,
        "incumbent": progress.incumbent,
        "lower_bound": progress.lower_bound,
        "found_by": progress.found_by,
        "proved_by": progress.proved_by,
        "model_size": None if size is None else [size.columns, size.rows, size.nonzeros],
        "merged_operators": progress.merged_operators,
        "schedule": schedule_document(progress.schedule),
    }


def progress_from(document: dict[str, Any]) -> Progress:
    """Return the progress event of a document."""
    size = document["model_size"]
    return Progress(
        phase=document["phase"],
        elapsed=document["elapsed"],
        incumbent=document["incumbent"],
        lower_bound=document["lower_bound"],
        schedule=schedule_from(document["schedule"]),
        found_by=document["found_by"],
        proved_by=document["proved_by"],
        model_size=None if size is None else ModelSize(*size),
        merged_operators=document["merged_operators"],
    )


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return a finished plan, without its problem, as a JSON document."""
    return {
        "event": "plan",
        "status": plan.status,
        "value": plan.value,
        "lower_bound": plan.lower_bound,
        "proved_by": plan.proved_by,
        "found_by": plan.found_by,
        "seconds": plan.seconds,
        "reason": plan.reason,
        "schedule": schedule_document(plan.schedule),
    }


def plan_from(document: dict[str, Any], problem: Problem) -> Plan:
    """Return the plan of a problem that a document describes."""
    return Plan(
        problem=problem,
        status=document["status"],
        schedule=schedule_from(document["schedule"]),
        value=document["value"],
        lower_bound=document["lower_bound"],
        proved_by=document["proved_by"],
        found_by=document["found_by"],
        seconds=document["seconds"],
        reason=document["reason"],
    )


def schedule_document(schedule: Schedule | None) -> dict[str, Any] | None:
    """Return a schedule's columns by operator number as lists."""
    if schedule is None:
        return None
    moves = schedule.transfers
    return {
        "device": schedule.device.tolist(),
        "start": schedule.start.tolist(),
        "finish": schedule.finish.tolist(),
        "transfers": {name: getattr(moves, name).tolist() for name in _TRANSFER_COLUMNS},
        "overlapped": schedule.overlapped.tolist(),
    }


def schedule_from(document: dict[str, Any] | None) -> Schedule | None:
    """Return the schedule of a document."""
    if document is None:
        return None
    moves = document["transfers"]
    return Schedule(
        device=np.array(document["device"], dtype=np.int32),
        start=np.array(document["start"], dtype=float),
        finish=np.array(document["finish"], dtype=float),
        transfers=Transfers(
            **{name: np.array(moves[name], dtype=kind) for name, kind in _TRANSFER_COLUMNS.items()}
        ),
        overlapped=np.array(document["overlapped"], dtype=np.int32).reshape(-1, 2),
    )


_TRANSFER_COLUMNS: dict[str, type] = {
    "tensor": np.int32,
    "source": np.int32,
    "target": np.int32,
    "start": float,
    "finish": float,
}
