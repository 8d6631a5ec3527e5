"""The settings that make a given pipeline, so that it can be made again with others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from planner_core.problem import KIND_CODE, NotApplicable, PlannerError, Problem
from planner_core.problem.micro_batches import micro_batch_range
from planner_core.problem.placements import PLACEMENTS, stage_devices
from planner_core.workloads.pipeline import pipeline

_COLUMNS = ("operator_ids", "kind", "duration", "stage", "micro_batch", "tensor_ids", "size",
            "producer", "consumer", "group_size")  # fmt: skip
"""Columns of a graph that must come out equal."""


@dataclass(frozen=True)
class Recipe:
    """Arguments of :func:`planner_core.workloads.pipeline`."""

    settings: dict[str, Any]

    def make(self, **changes: Any) -> Problem:
        """Return the pipeline with some settings changed."""
        return pipeline(**(self.settings | changes))


def pipeline_recipe(problem: Problem) -> Recipe | None:
    """Return the settings of a pipeline with like stages, or None for any other problem.

    The settings are read off the first stage; the pipeline they make must equal the problem.
    """
    graph, cluster = problem.template, problem.cluster
    if not graph.n_operators or np.any(graph.stage < 0) or np.isnan(graph.duration).any():
        return None
    if not problem.is_placed or not len(graph.group_size):
        return None
    first = np.flatnonzero(graph.stage == 0)
    durations = {
        label: float(graph.duration[first[graph.kind[first] == KIND_CODE[label]]][0])
        for label in ("forward", "backward_input", "backward_weight", "backward")
        if np.any(graph.kind[first] == KIND_CODE[label])
    }
    sizes = {name: float(graph.size[t]) for name, t in graph.tensor_index.items()}
    suffix = "@0" if graph.micro_batch[first[0]] >= 0 else ""
    by_input, by_weight = sizes.get(f"a0{suffix}", 0.0), sizes.get(f"b0{suffix}", 0.0)
    off_diagonal = ~np.eye(cluster.n_devices, dtype=bool)
    memory = cluster.memory
    settings: dict[str, Any] = {
        "devices": cluster.n_devices,
        "micro_batches": micro_batch_range(problem),
        **durations,
        "transfer": float(cluster.latency[off_diagonal][0]) if off_diagonal.any() else 0.0,
        "activation": by_input + by_weight,
        "released_by_input": by_input / (by_input + by_weight) if by_input + by_weight else 0.0,
        "weights": float(graph.group_size[0]),
        "memory": float(memory[0]) if np.isfinite(memory[0]) else None,
        "time_unit": problem.time_unit,
        "memory_unit": problem.memory_unit,
    }
    n_stages = int(graph.stage.max()) + 1
    settings["chunks"] = max(1, n_stages // cluster.n_devices)
    for placement in PLACEMENTS:
        settings["placement"] = placement
        if len(stage_devices(placement, cluster.n_devices, settings["chunks"])[0]) != n_stages:
            continue
        recipe = Recipe(dict(settings))
        try:
            if _equal(recipe.make(), problem):
                return recipe
        except PlannerError:
            continue
    return None


def with_devices(problem: Problem, count: int) -> Problem:
    """Return the same pipeline on another number of devices: as many stages per device.

    Raises
    ------
    InputError
        If there is no device.
    NotApplicable
        If the problem is no pipeline of like stages, whose placement would follow.
    """
    recipe = pipeline_recipe(problem)
    if recipe is None:
        raise NotApplicable(
            f"'{problem.name}' is no pipeline of like stages, so its placement on another number "
            "of devices is not known; change the cluster instead"
        )
    if count == problem.n_devices:
        return problem
    return replace(recipe.make(devices=count, name=problem.name), objective=problem.objective)


def _equal(made: Problem, given: Problem) -> bool:
    a, b = made.template, given.template
    same_graph = made.micro_batches == given.micro_batches and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in _COLUMNS
    )
    clusters = made.cluster, given.cluster
    return (
        same_graph
        and clusters[0].device_ids == clusters[1].device_ids
        and all(
            np.array_equal(getattr(clusters[0], name), getattr(clusters[1], name))
            for name in ("memory", "speed", "latency", "bandwidth", "exclusive")
        )
        and not clusters[1].staged
        and bool(np.all(np.isnan(b.transfer)))
        and np.array_equal(made.fixed_device, given.fixed_device)
    )
