"""What a Gantt chart draws per operator: its shade, its label and its hover text."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from planner_core.charts.numbers import number
from planner_core.charts.theme import KIND_TITLES
from planner_core.problem import KINDS, Problem
from planner_core.problem.graph import IntArray
from planner_core.schedule import Schedule


@lru_cache(maxsize=64)
def shades(problem: Problem, schedule: Schedule) -> tuple[IntArray, int]:
    """Shade of every operator and the number of shades.

    Micro-batches that take another route over the devices (a second direction) and further
    stages of one micro-batch on a device (chunks) each get a shade of their own.

    Returns
    -------
    int array of shape (n,), int
    """
    graph, device = problem.graph, schedule.device
    chunk = np.zeros(graph.n_operators, dtype=np.int32)
    route = np.zeros(graph.n_operators, dtype=np.int32)
    staged = np.flatnonzero(graph.stage >= 0)
    if not len(staged):
        return chunk, 1
    columns = zip(
        staged.tolist(),
        graph.micro_batch[staged].tolist(),
        graph.stage[staged].tolist(),
        device[staged].tolist(),
        strict=True,
    )
    rows = list(columns)
    stages_on: dict[tuple[int, int], set[int]] = {}
    first_device: dict[int, tuple[int, int]] = {}
    for _, batch, stage, k in rows:
        stages_on.setdefault((batch, k), set()).add(stage)
        first_device[batch] = min(first_device.get(batch, (stage, k)), (stage, k))
    rank = {key: {s: i for i, s in enumerate(sorted(found))} for key, found in stages_on.items()}
    routes: dict[int, int] = {}
    for batch in sorted(first_device):
        routes.setdefault(first_device[batch][1], len(routes))
    for o, batch, stage, k in rows:
        chunk[o] = rank[batch, k][stage]
        route[o] = routes[first_device[batch][1]]
    # On free placements every micro-batch may go its own way: then a route tells nothing.
    if len(routes) > 2:
        route[:] = 0
    chunks = int(chunk.max()) + 1
    if chunks > 4:
        chunk[:], chunks = 0, 1
    return route * chunks + chunk, (int(route.max()) + 1) * chunks


def labels(problem: Problem) -> list[str]:
    """Text in each operator's cell: its micro-batch, or its id where it has none."""
    graph = problem.graph
    if not np.any(graph.micro_batch >= 0):
        return [str(name) for name in graph.operator_ids]
    return ["" if i < 0 else str(i) for i in graph.micro_batch.tolist()]


def hovers(problem: Problem, schedule: Schedule, operators: IntArray) -> list[str]:
    """Hover text of some operators."""
    graph, unit = problem.graph, problem.time_unit
    devices = problem.cluster.device_ids
    texts = []
    for o, k, start, finish in zip(
        operators.tolist(),
        schedule.device[operators].tolist(),
        schedule.start[operators].tolist(),
        schedule.finish[operators].tolist(),
        strict=True,
    ):
        facts = [KIND_TITLES[KINDS[graph.kind[o]]]]
        if graph.stage[o] >= 0:
            facts.append(f"stage {graph.stage[o]}")
        if graph.micro_batch[o] >= 0:
            facts.append(f"micro-batch {graph.micro_batch[o]}")
        stream = graph.stream_names[graph.stream[o]]
        where = devices[k] if stream == "compute" else f"{devices[k]}, {stream} stream"
        texts.append(
            f"<b>{graph.operator_ids[o]}</b> on {where}<br>{', '.join(facts)}<br>"
            f"{number(start)} → {number(finish)} {unit} (takes {number(finish - start)})"
        )
    return texts
