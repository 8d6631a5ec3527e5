"""A DeepSeek-V3-like layer: forward of one micro-batch over the backward of another."""

from __future__ import annotations

from typing import Any

from planner_core.problem import InputError, Problem, build_cluster, build_graph, check_problem

LAYER_MS: dict[str, float] = {
    "attention F": 4.37,
    "attention I": 9.34,
    "attention W": 2.39,
    "mlp F": 4.60,
    "mlp I": 5.31,
    "mlp W": 3.54,
    "dispatch F": 6.69,
    "combine F": 8.68,
    "dispatch B": 7.49,
    "combine B": 5.77,
}
"""Milliseconds of one MoE layer, read off the profile DeepSeek published with DualPipe
(deepseek-ai/profile-data, training): computation and all-to-all exchanges."""


def deepseek_layer_pair(layers: int = 1, times: dict[str, float] | None = None) -> Problem:
    """Return ``layers`` MoE layers, forward of one micro-batch beside the backward of another.

    Micro-batch 0 goes backward and micro-batch 1 forward; nothing orders one after the other,
    so the exchanges of either (network stream) can hide behind the computation of the other.

    Parameters
    ----------
    layers : int
    times : dict, optional
        Other milliseconds, with the keys of :data:`LAYER_MS`.

    Returns
    -------
    Problem
        One device; minimise the makespan.

    Raises
    ------
    InputError
        If there is no layer or a time is missing or unknown.
    """
    if layers < 1:
        raise InputError(f"layers is {layers}; it must be 1 or more")
    ms = LAYER_MS if times is None else times
    for key in ms.keys() ^ LAYER_MS.keys():
        fault = "is missing" if key in LAYER_MS else "is unknown"
        raise InputError(f"the time of '{key}' {fault}; give {', '.join(LAYER_MS)}")
    operators: list[dict[str, Any]] = []
    tensors: list[dict[str, Any]] = []

    def operator(name: str, layer: int, kind: str, micro_batch: int, *after: str) -> str:
        own = f"{name}{layer}"
        operators.append(
            {
                "id": own,
                "duration": ms[name],
                "kind": kind,
                "stream": "network" if kind == "all_to_all" else "compute",
                "micro_batch": micro_batch,
            }
        )
        tensors.extend(
            {"id": f"{before} → {own}", "producer": before, "consumers": [own]} for before in after
        )
        return own

    x: tuple[str, ...] = ()
    for i in range(layers):
        name = operator("attention F", i, "forward", 1, *x)
        name = operator("dispatch F", i, "all_to_all", 1, name)
        name = operator("mlp F", i, "forward", 1, name)
        x = (operator("combine F", i, "all_to_all", 1, name),)
    g: tuple[str, ...] = ()
    for i in reversed(range(layers)):
        name = operator("combine B", i, "all_to_all", 0, *g)
        operator("mlp W", i, "backward_weight", 0, name)
        name = operator("mlp I", i, "backward_input", 0, name)
        name = operator("dispatch B", i, "all_to_all", 0, name)
        operator("attention W", i, "backward_weight", 0, name)
        g = (operator("attention I", i, "backward_input", 0, name),)
    problem = Problem(
        template=build_graph(operators, tensors),
        cluster=build_cluster([{"id": "gpu0"}]),
        name=f"DeepSeek-V3-like layer pair, {layers} layers",
    )
    check_problem(problem)
    return problem
