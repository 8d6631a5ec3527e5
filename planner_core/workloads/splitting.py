"""Tensor-parallel alternatives for the operators of any graph that has weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner_core.problem import KIND_CODE, InputError, Problem
from planner_core.problem.alternatives import Alternative, SplitProblem
from planner_core.problem.hardware import MIB, CostModel, LinkType


def tensor_parallel(
    problem: Problem,
    degrees: Sequence[int] = (1, 2, 4),
    *,
    link: str | LinkType = "NVLink 4",
    cost: CostModel | None = None,
) -> SplitProblem:
    """Return a problem whose operators with weights may be split over several devices.

    Each of k shards does 1/k of the work, holds 1/k of the weights and of what the operator
    saves for its backward; a ring all-reduce of what it produces completes the result (Shoeybi
    et al. 2019, "Megatron-LM", section 3, the row-parallel case). Weight gradients stay where
    the shards of the weights are and need no exchange.

    Parameters
    ----------
    problem : Problem
        In ms and MiB; forward only or a training graph of :func:`training`.
    degrees : sequence of int
        Numbers of shards; alternative ids are ``"×1"``, ``"×2"``, …. Choosing the same id for
        an operator and its backward parts lets them share the shards of the weights.
    link : str or LinkType
        What the all-reduce runs over.
    cost : CostModel, optional

    Raises
    ------
    InputError
        If a degree is below 1 or above the number of devices, or the problem has other units.
    """
    if (problem.time_unit, problem.memory_unit) != ("ms", "MiB"):
        raise InputError(
            f"the problem counts in {problem.time_unit} and {problem.memory_unit}; the time of an "
            "all-reduce is known in ms and MiB only"
        )
    for degree in degrees:
        if not 1 <= degree <= problem.n_devices:
            raise InputError(
                f"degree {degree} is asked for; it must lie between 1 and the "
                f"{problem.n_devices} devices"
            )
    cost = cost or CostModel()
    graph = problem.template
    ptr, tensors = graph.tensors_of
    alternatives: dict[str, list[Alternative]] = {}
    for o in np.flatnonzero(np.diff(graph.parameter_ptr)).tolist():
        own = tensors[ptr[o] : ptr[o + 1]]
        names = [str(graph.tensor_ids[t]) for t in own]
        saved = {
            name: float(graph.size[t])
            for name, t in zip(names, own, strict=True)
            if name.endswith(":saved")
        }
        sent = sum(float(graph.size[t]) for t in own) - sum(saved.values())
        exchanges = graph.kind[o] != KIND_CODE["backward_weight"]
        alternatives[str(graph.operator_ids[o])] = [
            Alternative(
                id=f"×{k}",
                shards=k,
                duration=_divided(problem, o, k),
                workspace=float(graph.workspace[o]) / k,
                tensors={name: size / k for name, size in saved.items()},
                collective=cost.all_reduce_milliseconds(sent * MIB, k, link) if exchanges else 0.0,
            )
            for k in dict.fromkeys(degrees)
        ]
    return SplitProblem(problem=problem, alternatives=alternatives)


def _divided(problem: Problem, operator: int, shards: int) -> float | dict[str, float]:
    graph = problem.template
    if not np.isnan(graph.duration[operator]):
        return float(graph.duration[operator]) / shards
    return {
        name: float(time) / shards
        for name, time in zip(graph.type_names, graph.duration_by_type[operator], strict=True)
        if not np.isnan(time)
    }
