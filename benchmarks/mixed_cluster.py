"""Unlike devices: the plan against heuristics, and against a planner told that all are equal.

Run ``python -m benchmarks.mixed_cluster [--limit S] [--write]`` (ONNX models: extra ``onnx``).

Clusters: two fast and two slow devices with unequal memory, one big and three small ones, and two
types of accelerators (durations per type and operator). Graphs: layered random graphs, for
inference and for training with micro-batches, transformer blocks, and ONNX models. Memory limits
are shares of what HEFT's schedule holds without any, so that they bind.

The best heuristic is the best of HEFT, CPOP, the other list schedulers and all expert schedules
on derived stages. The planner told that all devices are equal gets the cluster with its mean
speed, mean durations and mean memory and the same time; its devices and orders are then timed
exactly on the true cluster, over all ways of naming the devices; an order that lacks memory there
is repaired, or counts as a failure where that is not possible. ``--write`` stores the table in
``benchmarks/results/mixed_cluster.md``.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np

from benchmarks.experiments import ONNX_MODELS, light_models
from planner_core.baselines.list_scheduling import heft, list_schedules
from planner_core.problem import Cluster, InputError, NotApplicable, PlannerError, Problem
from planner_core.problem.clusters import mixed
from planner_core.schedule import Schedule, memory_profiles, simulate, validate
from planner_core.schedule.safe_order import safe_schedule
from planner_core.search import Options, plan
from planner_core.search.experts import StageVariants, available_experts, run_expert
from planner_core.workloads import random_layered, training, transformer

RESULTS = Path(__file__).parent / "results"

FAST_AND_SLOW = ((1.0, 1.0, 0.4, 0.4), (0.9, 0.9, 0.6, 0.6))
BIG_AND_SMALL = ((1.0, 0.3, 0.3, 0.3), (1.0, 0.6, 0.6, 0.6))
"""Speeds, and memory as shares of the largest peak of HEFT's schedule without limits."""

TYPES = ("H100", "A100")


def instances() -> Iterator[tuple[str, Problem]]:
    """Yield the name of the cluster and the problem."""
    for label, (speeds, memory) in (
        ("2 fast, 2 slow", FAST_AND_SLOW),
        ("1 big, 3 small", BIG_AND_SMALL),
    ):
        for problem in _graphs(_by_speed(speeds)):
            yield label, _limited(problem, memory)
    for problem in _graphs(mixed(dict.fromkeys(TYPES, 2))):
        yield "2 H100, 2 A100", _limited(problem, (1.0, 1.0, 0.7, 0.7))


def _by_speed(speeds: tuple[float, ...]) -> Cluster:
    """H100s, some slowed down: speed divides durations that are given as one number."""
    cluster = mixed(["H100"] * len(speeds))
    return replace(cluster, speed=np.array(speeds))


def _graphs(cluster: Cluster) -> Iterator[Problem]:
    for seed in (1, 2):
        yield _random(80, cluster, seed)
    yield training(_random(30, cluster, 3), micro_batches=4, name="random, training × 4")
    forward = transformer(4, 512, 8, 512, 8000, cluster=cluster)
    yield replace(training(forward, micro_batches=1), name="4 transformer blocks, training")
    yield training(forward, micro_batches=8, name="4 transformer blocks, training × 8")
    from planner_core.formats.onnx import parse_forward

    data = (light_models() / f"light_{ONNX_MODELS[0]}.onnx").read_bytes()
    model = parse_forward(data, batch=16, cluster=cluster)
    yield training(model, micro_batches=4, name=f"{ONNX_MODELS[0]}, training × 4")


def _random(operators: int, cluster: Cluster, seed: int) -> Problem:
    """A layered random graph whose transfers take about as long as its operators."""
    problem = random_layered(operators, cluster, seed=seed, weight=(1.0, 5.0))
    links = np.where(cluster.has_link, 0.1, np.inf)
    np.fill_diagonal(links, 0.0)
    own = replace(cluster, latency=links, bandwidth=np.ones_like(cluster.bandwidth))
    types = tuple(dict.fromkeys(str(name) for name in cluster.device_types))
    name = f"random, {operators} operators, seed {seed}"
    if len(types) == 1:
        return replace(problem, cluster=own, name=name)
    # Every operator has its own ratio between the types: some suit the one, some the other.
    generator = np.random.default_rng(seed)
    graph = problem.template
    ratio = generator.uniform(0.7, 3.0, (graph.n_operators, len(types)))
    ratio[:, 0] = 1.0
    typed = replace(
        graph,
        duration=np.full(graph.n_operators, np.nan),
        type_names=types,
        duration_by_type=graph.duration[:, None] * ratio,
    )
    return replace(problem, template=typed, cluster=own, name=name)


def _limited(problem: Problem, shares: tuple[float, ...]) -> Problem:
    """Give the devices shares of the largest peak that HEFT's schedule has without limits."""
    free = problem.with_memory(np.inf)
    peak = max(profile.peak for profile in memory_profiles(free, heft(free)))
    return problem.with_memory(peak * np.array(shares))


def best_heuristic(problem: Problem) -> tuple[float, str]:
    """Return makespan and name of the best list or expert schedule that is a solution."""
    found = [(schedule.makespan, name) for name, schedule in list_schedules(problem)]
    variants = StageVariants(problem)
    for name, title, reason in available_experts(problem):
        if reason is not None:
            continue
        try:
            result = run_expert(name, problem, variants=variants)
        except PlannerError:
            continue
        if result.fits:
            found.append((result.schedule.makespan, title))
    return min(found, default=(np.inf, "none fits"))


def all_equal(problem: Problem) -> Problem:
    """Return the problem as someone sees it who is told that all devices are equal."""
    graph, cluster = problem.template, problem.cluster
    mean = np.asarray(replace(problem, micro_batches=1).durations).mean(axis=1)
    flat = replace(
        graph,
        duration=mean,
        type_names=(),
        duration_by_type=np.empty((graph.n_operators, 0)),
    )
    same = replace(
        cluster,
        speed=np.ones(cluster.n_devices),
        device_types=(None,) * cluster.n_devices,
        memory=np.full(cluster.n_devices, cluster.memory.mean()),
    )
    return replace(problem, template=flat, cluster=same)


def retimed(problem: Problem, schedule: Schedule) -> Schedule | None:
    """Return the best exact schedule of a plan's devices and orders on the true cluster."""
    order = np.lexsort((schedule.finish, schedule.start))
    rank = np.empty(len(order))
    rank[order] = -np.arange(len(order), dtype=float)
    best: Schedule | None = None
    for name in permutations(range(problem.n_devices)):
        device = np.array(name, dtype=np.int32)[schedule.device]
        rows: list[list[int]] = [[] for _ in range(problem.n_devices)]
        for o in order.tolist():
            rows[device[o]].append(o)
        try:
            timed = simulate(problem, device, rows)
            if validate(problem, timed):
                timed = safe_schedule(problem, device, rank)
        except (InputError, NotApplicable):
            continue
        if not validate(problem, timed) and (best is None or timed.makespan < best.makespan):
            best = timed
    return best


def rows(limit: float) -> Iterator[list[str]]:
    yield [
        "cluster", "graph", "operators", "bound", "plan", "best heuristic", "plan / heuristic",
        "all equal", "plan / all equal", "seconds",
    ]  # fmt: skip
    for label, problem in instances():
        begin = time.monotonic()
        found = plan(problem, Options(time_limit=limit))
        seconds = time.monotonic() - begin
        value = np.inf if found.value is None else found.value
        heuristic, name = best_heuristic(problem)
        blind = plan(all_equal(problem), Options(time_limit=limit)).schedule
        timed = None if blind is None else retimed(problem, blind)
        equal = np.inf if timed is None else timed.makespan
        yield [
            label,
            problem.name,
            str(problem.graph.n_operators),
            _number(found.lower_bound or 0.0),
            _number(value),
            f"{_number(heuristic)} ({name})",
            _ratio(value, heuristic),
            _number(equal),
            _ratio(value, equal),
            f"{seconds:.1f}",
        ]


def _number(value: float) -> str:
    return "does not fit" if np.isinf(value) else f"{value:.5g}"


def _ratio(value: float, other: float) -> str:
    return "–" if np.isinf(value) or np.isinf(other) else f"{value / other:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=20.0, help="seconds per plan")
    parser.add_argument("--write", action="store_true", help="store the table")
    args = parser.parse_args()
    lines = [
        "# Mixed clusters",
        "",
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{args.limit:g} s per plan, seed 0",
        "",
    ]
    print("\n".join(lines))
    for number, row in enumerate(rows(args.limit)):
        lines.append("| " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
        if number == 0:
            lines.append("|" + "---|" * len(row))
            print(lines[-1])
    if args.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "mixed_cluster.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
