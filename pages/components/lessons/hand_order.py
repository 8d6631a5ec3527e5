"""An order that a reader builds operator by operator: what may come next, and when it runs.

Operators of one kind run in the order of their micro-batches, which loses nothing: micro-batches
are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pages.components.lessons.examples import short_name
from planner_core.problem import KIND_CODE, KINDS, Problem, build_graph
from planner_core.schedule import Schedule, simulate

SPLIT_KINDS = ("forward", "backward_input", "backward_weight")
"""Kinds of operators the exercise offers."""


def following(problem: Problem, placed: Sequence[int], device: int) -> dict[str, int | None]:
    """Return the next operator of each kind on a device; None once all are placed."""
    graph, taken = problem.graph, set(placed)
    found: dict[str, int | None] = {}
    for kind in SPLIT_KINDS:
        rest = [
            o
            for o in range(graph.n_operators)
            if graph.kind[o] == KIND_CODE[kind]
            and problem.fixed_device[o] == device
            and o not in taken
        ]
        found[kind] = min(rest, key=lambda o: int(graph.micro_batch[o]), default=None)
    return found


def refusal(problem: Problem, placed: Sequence[int], operator: int) -> str | None:
    """Say why an operator cannot come next on its device; None if it can."""
    graph, taken = problem.graph, set(placed)
    device = int(problem.fixed_device[operator])
    ptr, edges = graph.in_edges
    sources = graph.edge_source[edges[ptr[operator] : ptr[operator + 1]]]
    for source in sorted(set(sources.tolist())):
        if source not in taken:
            return (
                f"{called(problem, operator)} needs the result of {called(problem, source)}, "
                "which you have not placed yet"
            )
    if KINDS[graph.kind[operator]] == "forward":
        held = activations_held(problem, placed, device)
        limit = float(problem.cluster.memory[device])
        if held + 1 > limit:
            return (
                f"{problem.cluster.device_ids[device]} already holds {held} activations and its "
                f"limit is {limit:g}; a W there frees one"
            )
    return None


def activations_held(problem: Problem, placed: Sequence[int], device: int) -> int:
    """Activations a device holds after what is placed: each F saves one, its W frees it."""
    graph = problem.graph
    change = {KIND_CODE["forward"]: 1, KIND_CODE["backward_weight"]: -1}
    return sum(
        change.get(int(graph.kind[o]), 0) for o in placed if problem.fixed_device[o] == device
    )


def called(problem: Problem, operator: int) -> str:
    """Name an operator in a sentence, such as ``F 2 on gpu0``."""
    device = problem.cluster.device_ids[problem.fixed_device[operator]]
    return f"{short_name(problem, operator)} on {device}"


def timed_so_far(problem: Problem, placed: Sequence[int]) -> tuple[Problem, Schedule]:
    """Time what is placed, each operator as early as the order on its device allows.

    Returns
    -------
    Problem, Schedule
        The problem itself once everything is placed, else the part that is. An activation
        whose W is not placed yet is held to the end.
    """
    part, number = (problem, {o: o for o in placed})
    if len(placed) < problem.graph.n_operators:
        part, number = _part(problem, placed)
    rows: list[list[int]] = [[] for _ in range(problem.n_devices)]
    for o in placed:
        rows[int(problem.fixed_device[o])].append(number[o])
    return part, simulate(part, part.fixed_device, rows)


def _part(problem: Problem, placed: Sequence[int]) -> tuple[Problem, dict[int, int]]:
    """Return the problem of some operators, and their numbers in it."""
    graph, devices = problem.graph, problem.cluster.device_ids
    number = {o: i for i, o in enumerate(placed)}
    operators = [
        {
            "id": str(graph.operator_ids[o]),
            "duration": float(problem.durations[o, problem.fixed_device[o]]),
            "kind": KINDS[graph.kind[o]],
            "stage": int(graph.stage[o]),
            "micro_batch": int(graph.micro_batch[o]),
            "devices": [devices[problem.fixed_device[o]]],
        }
        for o in placed
    ]
    tensors = []
    for t in range(graph.n_tensors):
        if int(graph.producer[t]) not in number:
            continue
        users = [c for c in graph.consumers_of(t).tolist() if c in number]
        tensors.append(
            {
                "id": str(graph.tensor_ids[t]),
                "producer": str(graph.operator_ids[graph.producer[t]]),
                "consumers": [str(graph.operator_ids[c]) for c in users],
                "size": float(graph.size[t]),
                "output": len(users) < len(graph.consumers_of(t)),
            }
        )
    return replace(problem, template=build_graph(operators, tensors), micro_batches=1), number
