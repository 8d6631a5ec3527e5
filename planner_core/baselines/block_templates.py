"""Templates for V and bidirectional pipelines: building blocks squeezed into memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from planner_core.baselines.building_blocks import (
    BIDIRECTIONAL_FLOW,
    V_FLOW,
    Flow,
    rows_from_block,
    shortest_block,
)
from planner_core.baselines.layout import Layout, Rows, lay_out
from planner_core.problem import NotApplicable, Problem
from planner_core.problem.pipeline import PipelineView
from planner_core.problem.placements import pipeline_devices
from planner_core.schedule import DeadlockError, Schedule, resident_memory, simulate

ADVANCES: tuple[tuple[int, int], ...] = ((4, 2), (2, 2), (3, 1), (2, 1), (1, 2), (1, 1))
"""Slots per device of the legs down and up; the slower, the more micro-batches under way."""

MAX_PASSES = 20_000
"""Larger pipelines take too long to squeeze pass by pass."""


def block_schedules(problem: Problem, view: PipelineView) -> Iterator[tuple[str, Schedule]]:
    """Yield squeezed building blocks as they are."""
    for layout, name, rows in _orders(problem, view):
        yield from _timed(problem, layout, name, rows)


def filled_block_schedules(problem: Problem, view: PipelineView) -> Iterator[tuple[str, Schedule]]:
    """Yield squeezed building blocks with their gaps filled for the real costs.

    The order on a device, and with it the memory, does not depend on the durations: blocks of
    unit passes serve unequal costs too.
    """
    # Imported here: numba takes longer to load than the blocks take to squeeze.
    from planner_core.baselines.gap_filling import best_filling, without_weights

    for layout, name, rows in _orders(problem, view):
        refilled = best_filling(layout, [without_weights(rows)])
        if refilled is not None:
            yield from _timed(problem, layout, f"{name}, gaps filled", refilled)


def _orders(problem: Problem, view: PipelineView) -> Iterator[tuple[Layout, str, Rows]]:
    """Yield the order on every device that each building block means."""
    if not view.is_split or problem.graph.n_operators > MAX_PASSES:
        return
    found = _flow_of(problem, view)
    if found is None:
        return
    layout, flow = found
    limit, freed_by_input = _activations(layout)
    if limit < 1:
        return
    for down, up in ADVANCES:
        block = shortest_block(layout.n_ranks, down, up, flow)
        if block is not None:
            rows = rows_from_block(layout, block, flow, limit, freed_by_input)
            yield layout, f"building block {down}-{up}", rows


def _timed(
    problem: Problem, layout: Layout, name: str, rows: Rows
) -> Iterator[tuple[str, Schedule]]:
    try:
        yield name, simulate(problem, layout.device, layout.order(rows)[0])
    except DeadlockError:
        return


def _flow_of(problem: Problem, view: PipelineView) -> tuple[Layout, Flow] | None:
    """Layout and flow of a problem placed as a V or bidirectionally; None for others."""
    p = len(pipeline_devices(problem))
    there, back = list(range(p)), list(range(p - 1, -1, -1))
    for routes, flow in (([there + back], V_FLOW), ([there, back], BIDIRECTIONAL_FLOW)):
        try:
            layout = lay_out(problem, view, routes)
        except NotApplicable:
            continue
        members = [len(layout.micro_batches_of(r)) for r in range(len(routes))]
        if not layout.own_placement and len(set(members)) == 1:
            return layout, flow
    return None


def _activations(layout: Layout) -> tuple[int, bool]:
    """Activations that fit on every device, and whether I alone frees them."""
    room = layout.problem.cluster.memory - resident_memory(layout.problem, layout.device)
    held = {key: taken for key, (taken, _) in layout.holdings.items() if key[0] == "F"}
    freed_by_input = all(
        layout.holdings["I", v, r][1] >= taken for (_, v, r), taken in held.items()
    )
    counts = [
        room[layout.ranks[layout.routes[r][v]]] / taken
        for (_, v, r), taken in held.items()
        if taken > 0
    ]
    most = 2 * layout.n_micro_batches
    fits = min([*counts, float(most)]) * (1 + 1e-9)
    return int(np.floor(max(0.0, fits))), freed_by_input
