"""Pipelines: stages × micro-batches on devices, the problem pipeline schedules solve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner_core.problem import (
    InputError,
    Problem,
    build_cluster,
    build_graph,
    check_problem,
)
from planner_core.problem.limits import check_counts
from planner_core.problem.placements import stage_devices

Values = float | Sequence[float]


def pipeline(
    devices: int,
    micro_batches: int,
    placement: str = "linear",
    *,
    chunks: int = 2,
    forward: Values = 1.0,
    backward_input: Values = 1.0,
    backward_weight: Values = 1.0,
    backward: Values | None = None,
    transfer: float = 0.0,
    activation: Values | None = None,
    released_by_input: Values = 0.0,
    weights: Values = 0.0,
    memory: Values | None = None,
    name: str | None = None,
    time_unit: str = "ms",
    memory_unit: str | None = None,
) -> Problem:
    """Return a pipeline whose stages are placed.

    Parameters
    ----------
    devices, micro_batches : int
        Of a bidirectional pipeline the first half of the micro-batches runs down the devices,
        the second half runs up.
    placement : {"linear", "interleaved", "v", "bidirectional", "wave"}
    chunks : int
        Stages per device of the interleaved and wave placements.
    forward, backward_input, backward_weight : float or one per stage
        Durations of F, I and W.
    backward : float or one per stage, optional
        Duration of a fused backward in place of I and W.
    transfer : float
        Time a tensor takes between two devices.
    activation : float or one per stage, optional
        Saved activation of one stage and micro-batch; default 1, memory then counts in saved
        activations.
    released_by_input : float or one per stage
        Share of a saved activation that I frees; W frees the rest.
    weights : float or one per stage
        Parameter memory of a stage, shared by its micro-batches.
    memory : float or one per device, optional
        Memory limit; None = unlimited.
    name, time_unit, memory_unit : str, optional

    Returns
    -------
    Problem
        A template with ``micro_batches``, or for the bidirectional placement the operators of
        every micro-batch.

    Raises
    ------
    InputError
        If a number is out of range or a list has the wrong length.
    """
    for label, count in (("devices", devices), ("micro_batches", micro_batches)):
        if count < 1:
            raise InputError(f"{label} is {count}; it must be 1 or more")
    check_counts(devices, devices * max(1, chunks) * micro_batches)
    directions = stage_devices(placement, devices, chunks)
    n_stages = len(directions[0])
    share = _per("stage", "released_by_input", released_by_input, n_stages)
    if np.any((share < 0) | (share > 1)):
        raise InputError("released_by_input is a share; it must lie between 0 and 1")
    saved = _per("stage", "activation", 1.0 if activation is None else activation, n_stages)
    costs = {"F": _per("stage", "forward", forward, n_stages)}
    if backward is None:
        costs["I"] = _per("stage", "backward_input", backward_input, n_stages)
        costs["W"] = _per("stage", "backward_weight", backward_weight, n_stages)
    else:
        costs["B"] = _per("stage", "backward", backward, n_stages)
        share = np.ones(n_stages)
    operators: list[dict] = []
    tensors: list[dict] = []
    if len(directions) == 1:
        _add_micro_batch(operators, tensors, costs, saved, share, directions[0], None)
    else:
        half = (micro_batches + 1) // 2
        for i in range(micro_batches):
            stages = directions[0] if i < half else directions[1]
            _add_micro_batch(operators, tensors, costs, saved, share, stages, i)
    sizes = _per("stage", "weights", weights, n_stages)
    groups = [{"id": f"w{s}", "size": float(sizes[s])} for s in range(n_stages)]
    limits = None if memory is None else _per("device", "memory", memory, devices)
    cluster = build_cluster(
        [
            {"id": f"gpu{k}", "memory": None if limits is None else float(limits[k])}
            for k in range(devices)
        ],
        {"default": {"latency": transfer, "bandwidth": None}},
    )
    problem = Problem(
        template=build_graph(operators, tensors, groups),
        cluster=cluster,
        micro_batches=micro_batches if len(directions) == 1 else 1,
        name=name or f"{placement} pipeline, {devices} devices, {micro_batches} micro-batches",
        time_unit=time_unit,
        memory_unit=memory_unit or ("activations" if activation is None else "MiB"),
    )
    check_problem(problem)
    return problem


def _add_micro_batch(
    operators: list[dict],
    tensors: list[dict],
    costs: dict[str, np.ndarray],
    saved: np.ndarray,
    share: np.ndarray,
    stages: list[int],
    micro_batch: int | None,
) -> None:
    """Append one micro-batch: forward down the stages, backward up, saved activations."""
    suffix = "" if micro_batch is None else f"@{micro_batch}"
    kinds = {
        "F": "forward",
        "I": "backward_input",
        "W": "backward_weight",
        "B": "backward",
    }
    last = len(stages) - 1
    back = "B" if "B" in costs else "I"

    def tensor(name: str, source: str, target: str, size: float = 0.0) -> None:
        tensors.append(
            {
                "id": name + suffix,
                "producer": source + suffix,
                "consumers": [target + suffix],
                "size": size,
            }
        )

    for s, device in enumerate(stages):
        for letter, duration in costs.items():
            operators.append(
                {
                    "id": f"{letter}{s}{suffix}",
                    "duration": float(duration[s]),
                    "kind": kinds[letter],
                    "stage": s,
                    "micro_batch": micro_batch,
                    "devices": [f"gpu{device}"],
                    "parameters": [f"w{s}"],
                }
            )
        if s < last:
            tensor(f"x{s}", f"F{s}", f"F{s + 1}")
            tensor(f"g{s + 1}", f"{back}{s + 1}", f"{back}{s}")
        freed = float(saved[s] * share[s])
        tensor(f"a{s}", f"F{s}", f"{back}{s}", freed)
        if back == "I":
            tensor(f"b{s}", f"F{s}", f"W{s}", float(saved[s]) - freed)
            tensor(f"d{s}", f"I{s}", f"W{s}")


def _per(what: str, label: str, values: Values, count: int) -> np.ndarray:
    column = np.atleast_1d(np.asarray(values, dtype=float))
    if len(column) == 1:
        column = np.repeat(column, count)
    if len(column) != count:
        raise InputError(f"{label} has {len(column)} values; give one, or one per {what} ({count})")
    if not np.all(np.isfinite(column) & (column >= 0)):
        raise InputError(f"{label} must be finite numbers, 0 or more")
    return column
