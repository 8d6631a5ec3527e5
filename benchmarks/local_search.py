"""Local search from list-schedule starts: placed pipelines under memory limits, general graphs.

Run ``python -m benchmarks.local_search [seconds per instance]``; prints a Markdown table with
its date. Bounds are those that :mod:`planner_core.bounds` or the cited documents prove; for
general graphs max(critical path without transfers, total work over devices).
"""

from __future__ import annotations

import datetime
import platform
import sys
import time
from collections.abc import Iterator

import numpy as np

from planner_core.baselines.list_scheduling import list_schedules
from planner_core.problem import Problem
from planner_core.search.local_search import improve
from planner_core.workloads.pipeline import pipeline
from planner_core.workloads.random_graphs import random_layered


def pipelines() -> Iterator[tuple[Problem, float]]:
    """Placed pipelines whose bound is known (memory turnaround bound)."""
    for memory, bound in ((9, 63.0), (7, 64.0), (6, 65.0), (5, 66.0), (4, 67.0)):
        yield (
            pipeline(
                8, 20, "bidirectional", memory=memory, released_by_input=1.0,
                name=f"bidirectional 8 × 20, 1 1 1, memory {memory}",
            ),
            bound,
        )  # fmt: skip
    for memory, bound in ((9, 315.0), (6, 328.0), (4, 338.0)):
        yield (
            pipeline(
                8, 20, "bidirectional", forward=5, backward_input=6, backward_weight=4,
                memory=memory, released_by_input=1.0,
                name=f"bidirectional 8 × 20, 5 6 4, memory {memory}",
            ),
            bound,
        )  # fmt: skip
    yield (
        pipeline(
            8, 20, "bidirectional", forward=5, backward_input=7, backward_weight=3, transfer=1,
            memory=9, released_by_input=1.0, name="bidirectional 8 × 20, 5 7 3, transfer 1",
        ),
        318.0,
    )  # fmt: skip
    for memory in (16, 12, 8):
        yield (
            pipeline(8, 20, "v", memory=memory, name=f"V 8 × 20, 1 1 1, memory {memory}"),
            float(143 - memory),
        )


def general_graphs() -> Iterator[tuple[Problem, float]]:
    """Layered random graphs whose operators may run anywhere."""
    for operators in (50, 100, 200, 624, 5_000):
        for devices in (2, 4, 8):
            problem = random_layered(operators, devices, seed=operators + devices)
            yield problem, _simple_bound(problem)


def _simple_bound(problem: Problem) -> float:
    graph = problem.graph
    fastest = problem.durations.min(axis=1)
    finish = fastest.copy()
    ptr, edges = graph.in_edges
    for o in graph.topological_order.tolist():
        inputs = graph.edge_source[edges[ptr[o] : ptr[o + 1]]]
        finish[o] += finish[inputs].max(initial=0.0)
    return float(max(finish.max(), fastest.sum() / problem.n_devices))


def main(seconds: float) -> None:
    print(f"{datetime.date.today()}, {platform.machine()}, {seconds:g} s per instance, seed 0\n")
    print("| instance | list schedule | result | bound | result / bound | seconds |")
    print("|---|---|---|---|---|---|")
    ratios: list[float] = []
    for problem, bound in (*pipelines(), *general_graphs()):
        name, start = min(list_schedules(problem), key=lambda row: row[1].makespan)
        begin = time.monotonic()
        found = begin

        def heard(_: object) -> None:
            nonlocal found
            found = time.monotonic()

        result = improve(problem, start, deadline=begin + seconds, target=bound, on_improve=heard)
        ratios.append(result.makespan / bound)
        label = problem.name if problem.is_placed else f"{problem.name}, K = {problem.n_devices}"
        print(
            f"| {label} | {start.makespan:.6g} ({name}) | {result.makespan:.6g} | {bound:.6g} | "
            f"{result.makespan / bound:.4f} | {found - begin:.1f} |",
            flush=True,
        )
    print(f"\ngeometric mean of result / bound: {np.exp(np.mean(np.log(ratios))):.4f}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)
