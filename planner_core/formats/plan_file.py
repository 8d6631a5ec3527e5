"""The plan file (``parallelism-plan/1``): write, read, and check every claim it makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from planner_core.formats.json_text import (
    FILE_LIMIT,
    PathLike,
    dump_object,
    load_object,
    read_bytes,
    write_text,
)
from planner_core.formats.messages import validated
from planner_core.formats.native import objective_document
from planner_core.formats.schema import PLAN_FORMAT
from planner_core.problem import RELATIVE_TOLERANCE, InputError, Problem
from planner_core.schedule import (
    Plan,
    Schedule,
    Transfers,
    Violation,
    device_use,
    measure,
    period,
    proves_optimal,
    relative_gap,
    validate,
)


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return the document of a plan, ready for JSON; unlimited memory is null."""
    objective = objective_document(plan.problem.objective)
    document: dict[str, Any] = {
        "format": PLAN_FORMAT,
        "problem": plan.problem.name,
        "status": plan.status,
        "objective": {
            "minimize": objective["minimize"],
            "value": plan.value,
            "lower_bound": plan.lower_bound,
            "gap": plan.gap,
            "proved_by": plan.proved_by,
        },
        "makespan": plan.makespan,
    }
    if "period" in plan.problem.objective.minimize:
        document["period"] = plan.period
    document["found_by"] = plan.found_by
    document["seconds"] = round(plan.seconds, 3)
    if plan.reason is not None:
        document["reason"] = plan.reason
    document["devices"] = [
        {
            "id": use.id,
            "busy": use.busy,
            "idle": use.idle,
            "peak_memory": use.peak_memory,
            "memory": use.memory if np.isfinite(use.memory) else None,
        }
        for use in plan.devices()
    ]
    if plan.schedule is not None:
        document.update(_schedule_rows(plan.problem, plan.schedule))
    return document


def write_plan(plan: Plan, path: PathLike) -> None:
    """Write a plan as a file; InputError if it cannot be written."""
    write_text(dump_object(plan_document(plan)), path)


def parse_plan(data: str | bytes, max_bytes: int = FILE_LIMIT) -> dict[str, Any]:
    """Return the document in the text of a plan file; InputError if its shape is wrong."""
    return validated("plan", load_object(data, max_bytes))


def read_plan_document(path: PathLike) -> dict[str, Any]:
    """Read a plan file without a problem; see :func:`parse_plan`."""
    return parse_plan(read_bytes(path))


def read_plan(path: PathLike, problem: Problem) -> Plan:
    """Read a plan of a problem.

    Nothing but the names is checked: :func:`check_plan` checks the rules and the claims.

    Raises
    ------
    InputError
        If the file's shape is wrong or it does not name the problem's operators, tensors and
        devices.
    """
    return plan_from_document(read_plan_document(path), problem)


def plan_from_document(document: dict[str, Any], problem: Problem) -> Plan:
    """Return the plan of a problem that a document describes; see :func:`read_plan`."""
    wrong = list(_name_violations(document, problem))
    if wrong:
        raise InputError(wrong[0].message)
    objective = document["objective"]
    return Plan(
        problem=problem,
        status=document["status"],
        schedule=_schedule(document, problem) if document.get("operators") else None,
        value=objective.get("value"),
        lower_bound=objective.get("lower_bound"),
        proved_by=objective.get("proved_by"),
        found_by=document.get("found_by"),
        seconds=document.get("seconds", 0.0),
        reason=document.get("reason"),
    )


def check_plan(document: dict[str, Any], problem: Problem) -> list[Violation]:
    """List everything in a plan that breaks a rule of the problem model or is not true.

    Parameters
    ----------
    document : dict
        From :func:`parse_plan`.
    problem : Problem

    Returns
    -------
    list of Violation
        Those of the validator, and with the rule ``claim`` every figure of the file that its
        own schedule does not bear out.
    """
    names = list(_name_violations(document, problem))
    if names:
        return names
    if not document.get("operators"):
        return list(_claims_without_schedule(document))
    schedule = _schedule(document, problem)
    found = validate(problem, schedule)
    if any(violation.rule in ("assignment", "time") for violation in found):
        return found  # figures mean nothing on such a schedule
    return [*found, *_claims(document, problem, schedule)]


def _schedule_rows(problem: Problem, schedule: Schedule) -> dict[str, Any]:
    graph, devices = problem.graph, problem.cluster.device_ids
    rows = schedule.transfers
    return {
        "operators": [
            {"id": name, "device": devices[k], "start": start, "finish": finish}
            for name, k, start, finish in zip(
                graph.operator_ids.tolist(),
                schedule.device.tolist(),
                schedule.start.tolist(),
                schedule.finish.tolist(),
                strict=True,
            )
        ],
        "transfers": [
            {
                "tensor": graph.tensor_ids[t],
                "source": devices[a],
                "target": devices[b],
                "start": start,
                "finish": finish,
            }
            for t, a, b, start, finish in zip(
                rows.tensor.tolist(),
                rows.source.tolist(),
                rows.target.tolist(),
                rows.start.tolist(),
                rows.finish.tolist(),
                strict=True,
            )
        ],
    }


def _schedule(document: dict[str, Any], problem: Problem) -> Schedule:
    """Return the schedule of a document whose names have been checked."""
    graph, device_index = problem.graph, problem.cluster.device_index
    n = graph.n_operators
    device = np.empty(n, dtype=np.int32)
    start, finish = np.empty(n), np.empty(n)
    for row in document["operators"]:
        o = graph.operator_index[row["id"]]
        device[o], start[o], finish[o] = device_index[row["device"]], row["start"], row["finish"]
    rows = document.get("transfers", [])
    return Schedule(
        device=device,
        start=start,
        finish=finish,
        transfers=Transfers(
            tensor=np.array([graph.tensor_index[r["tensor"]] for r in rows], dtype=np.int32),
            source=np.array([device_index[r["source"]] for r in rows], dtype=np.int32),
            target=np.array([device_index[r["target"]] for r in rows], dtype=np.int32),
            start=np.array([r["start"] for r in rows], dtype=float),
            finish=np.array([r["finish"] for r in rows], dtype=float),
        ),
    )


def _name_violations(document: dict[str, Any], problem: Problem) -> Iterator[Violation]:
    """Every operator, tensor and device that the problem does not have, or the plan lacks."""
    graph, devices = problem.graph, problem.cluster.device_index
    rows = document.get("operators", [])
    seen: set[str] = set()
    for row in rows:
        name = row["id"]
        if name not in graph.operator_index:
            yield Violation("assignment", f"the problem has no operator '{name}'")
        elif name in seen:
            yield Violation("assignment", f"operator '{name}' runs twice")
        seen.add(name)
        if row["device"] not in devices:
            yield Violation(
                "assignment",
                f"operator '{name}' runs on device '{row['device']}', which does not exist",
            )
    if rows:
        for name in graph.operator_ids:
            if name not in seen:
                yield Violation("assignment", f"operator '{name}' does not run")
    for row in document.get("transfers", []):
        if row["tensor"] not in graph.tensor_index:
            yield Violation("transfer", f"the problem has no tensor '{row['tensor']}'")
        for end in ("source", "target"):
            if row[end] not in devices:
                yield Violation(
                    "transfer",
                    f"the transfer of '{row['tensor']}' names device '{row[end]}', which does "
                    "not exist",
                )


def _claims_without_schedule(document: dict[str, Any]) -> Iterator[Violation]:
    status = document["status"]
    if status in ("optimal", "feasible"):
        yield Violation("claim", f"the status is {status}, but the plan lists no operators")
    for key, value in (
        ("makespan", document.get("makespan")),
        ("objective value", document["objective"].get("value")),
    ):
        if value is not None:
            yield Violation("claim", f"the {key} is {value:g}, but the plan lists no operators")


def _claims(document: dict[str, Any], problem: Problem, schedule: Schedule) -> Iterator[Violation]:
    objective, primary = document["objective"], problem.objective.primary
    if document["problem"] != problem.name:
        yield Violation(
            "claim", f"the plan is of problem '{document['problem']}', not of '{problem.name}'"
        )
    wanted = objective_document(problem.objective)["minimize"]
    if objective["minimize"] != wanted:
        yield Violation(
            "claim", f"the plan minimises {objective['minimize']}; the problem says {wanted}"
        )
    if document["status"] not in ("optimal", "feasible"):
        yield Violation("claim", f"the status is {document['status']}, but there is a schedule")
    actual = measure(primary, problem, schedule)
    yield from _figure("makespan", document.get("makespan"), schedule.makespan)
    yield from _figure("objective value", objective.get("value"), actual)
    if document.get("period") is not None:
        yield from _figure("period", document["period"], period(problem, schedule))
    yield from _bound_claims(document["status"], objective, actual)
    yield from _device_claims(document.get("devices", []), problem, schedule)


def _bound_claims(status: str, objective: dict[str, Any], value: float) -> Iterator[Violation]:
    bound = objective.get("lower_bound")
    if status == "optimal" and (bound is None or not proves_optimal(value, bound)):
        shown = "missing" if bound is None else f"{bound:g}"
        yield Violation(
            "claim", f"the status is optimal, but the value is {value:g} and the bound is {shown}"
        )
    if bound is None:
        return
    if not proves_optimal(bound, value):
        yield Violation("claim", f"the lower bound {bound:g} is above the value {value:g}")
    elif objective.get("gap") is not None:
        yield from _figure("gap", objective["gap"], relative_gap(value, bound), 1.0)


def _device_claims(
    rows: list[dict[str, Any]], problem: Problem, schedule: Schedule
) -> Iterator[Violation]:
    if not rows:
        return
    given = {row["id"]: row for row in rows}
    for use in device_use(problem, schedule):
        row = given.pop(use.id, None)
        if row is None:
            yield Violation("claim", f"device '{use.id}' is missing among the plan's devices")
            continue
        what = f"of device '{use.id}'"
        yield from _figure(f"busy time {what}", row["busy"], use.busy, schedule.makespan)
        yield from _figure(f"idle time {what}", row["idle"], use.idle, schedule.makespan)
        yield from _figure(f"peak memory {what}", row["peak_memory"], use.peak_memory)
        if "memory" in row:
            limit = np.inf if row["memory"] is None else row["memory"]
            yield from _figure(f"memory limit {what}", limit, use.memory)
    for name in given:
        yield Violation("claim", f"the plan lists device '{name}', which does not exist")


def _figure(
    what: str, claimed: float | None, actual: float, scale: float | None = None
) -> Iterator[Violation]:
    """Compare a figure with what the schedule says, within the tolerance of ``scale``."""
    if claimed is None:
        yield Violation("claim", f"the {what} is missing; it is {actual:g}")
        return
    tolerance = RELATIVE_TOLERANCE * abs(actual if scale is None else scale)
    if claimed != actual and not abs(claimed - actual) <= tolerance:
        yield Violation("claim", f"the {what} is given as {claimed:g}; it is {actual:g}")
