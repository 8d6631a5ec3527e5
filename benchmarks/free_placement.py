"""Placement and order together, beside HEFT and OR-Tools CP-SAT with the same time.

Run ``python -m benchmarks.free_placement [seconds] [first] [last]`` (extra ``benchmarks``).
Instance i is drawn with seed i: layered random graphs, transformer blocks and multimodal models
of 50 to 200 operators on 4 and 8 like devices. CP-SAT gets two workers and the HEFT schedule as
a hint; durations and transfer times are given to it in 1/1000 of the mean duration, rounded
down, so that rounding can only help it. Prints a Markdown table with its date.
"""

from __future__ import annotations

import datetime
import platform
import sys
import time

import numpy as np
from ortools.sat.python import cp_model

from planner_core.baselines.list_scheduling import heft
from planner_core.bounds import makespan_bound
from planner_core.milp.free_grid import least_delays
from planner_core.problem import Problem
from planner_core.problem.clusters import homogeneous
from planner_core.schedule import Schedule
from planner_core.search import Options, plan
from planner_core.workloads.multimodal import multimodal
from planner_core.workloads.random_graphs import random_layered
from planner_core.workloads.training import training
from planner_core.workloads.transformer import transformer

RESOLUTION = 1_000
"""Units of CP-SAT's whole numbers in a mean duration."""


def instance(number: int) -> Problem:
    """Return one of the instances: kind and size by number, the rest by seed."""
    random = np.random.default_rng(number)
    devices = (4, 8)[number % 2]
    kind = number // 2 % 3
    if kind == 0:
        return random_layered(int(random.integers(50, 201)), devices, seed=number)
    cluster = homogeneous(devices)
    if kind == 1:
        made = transformer(
            int(random.integers(1, 4)), 1024, 16, 512, 32000, experts=8, cluster=cluster
        )
    else:
        made = multimodal(*random.integers(1, 3, 3).tolist(), cluster=cluster)
    return training(made).with_memory(np.full(devices, np.inf))


def cp_sat(problem: Problem, hint: Schedule, seconds: float) -> tuple[float, float]:
    """Makespan and bound that CP-SAT reaches (durations rounded down to its whole numbers)."""
    graph, n_devices = problem.graph, problem.n_devices
    unit = float(np.mean(problem.durations.min(axis=1))) / RESOLUTION
    length = np.floor(problem.durations / unit).astype(np.int64)
    delay = least_delays(problem)
    model = cp_model.CpModel()
    horizon = int(np.ceil(hint.makespan / unit))
    rows: dict[tuple[int, int], list[cp_model.IntervalVar]] = {}
    home: dict[int, list[cp_model.IntVar]] = {}
    on: list[list[cp_model.IntVar]] = []
    start: list[cp_model.IntVar] = []
    finish: list[cp_model.LinearExpr] = []
    for o in range(graph.n_operators):
        start.append(model.NewIntVar(0, horizon, ""))
        model.AddHint(start[o], int(hint.start[o] / unit))
        group = int(graph.colocation[o])
        choice = home.get(group, [model.NewBoolVar("") for _ in range(n_devices)])
        on.append(choice)
        if group < 0 or group not in home:
            model.AddExactlyOne(choice)
            for k in range(n_devices):
                model.AddHint(choice[k], int(hint.device[o] == k))
        if group >= 0:
            home[group] = choice
        # Like devices: the durations are the same everywhere.
        size = int(length[o, 0])
        finish.append(start[o] + size)
        for k in range(n_devices):
            interval = model.NewOptionalFixedSizeIntervalVar(start[o], size, choice[k], "")
            rows.setdefault((k, int(graph.stream[o])), []).append(interval)
    for row in rows.values():
        model.AddNoOverlap(row)
    edges = zip(graph.edge_tensor, graph.edge_source, graph.edge_target, strict=True)
    for t, a, b in edges:
        model.Add(start[b] >= finish[a])
        lag = int(delay[t, 0, 1] / unit)
        if lag > 0:
            together = model.NewBoolVar("")
            for k in range(n_devices):
                model.AddImplication(on[a][k], on[b][k]).OnlyEnforceIf(together)
            model.Add(start[b] >= finish[a] + lag).OnlyEnforceIf(together.Not())
    makespan = model.NewIntVar(0, horizon, "")
    model.AddMaxEquality(makespan, finish)
    model.Minimize(makespan)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 2
    status = solver.Solve(model)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    value = solver.ObjectiveValue() * unit if found else np.inf
    return value, solver.BestObjectiveBound() * unit


def main(seconds: float, first: int, last: int) -> None:
    print(f"{datetime.date.today()}, {platform.machine()}, {seconds:g} s each, two threads\n")
    print(
        "| # | instance | operators | devices | HEFT | plan | bound | gap | CP-SAT | its bound | "
        "plan / CP-SAT |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    ratios: list[float] = []
    for number in range(first, last):
        problem = instance(number)
        start = heft(problem)
        begin = time.monotonic()
        found = plan(problem, Options(time_limit=seconds))
        spent = time.monotonic() - begin
        value, bound = cp_sat(problem, start, seconds)
        mine = found.value if found.value is not None else np.inf
        ratios.append(mine / value)
        least = max(found.lower_bound, makespan_bound(problem).value)
        print(
            f"| {number} | {problem.name} | {problem.graph.n_operators} | {problem.n_devices} | "
            f"{start.makespan:.6g} | {mine:.6g} ({found.found_by}, {spent:.1f} s) | {least:.6g} | "
            f"{1 - least / mine:.2%} | {value:.6g} | {bound:.6g} | {ratios[-1]:.4f} |",
            flush=True,
        )
        if mine > start.makespan * (1 + 1e-9):
            print(f"\nworse than HEFT: {number}\n")
    good = sum(ratio <= 1 + 1e-3 for ratio in ratios)
    print(
        f"\nAt or below CP-SAT (within its rounding of 0.1 % of a mean duration per operator): "
        f"{good} of {len(ratios)}; geometric mean {np.exp(np.mean(np.log(ratios))):.4f}"
    )


if __name__ == "__main__":
    numbers = [float(argument) for argument in sys.argv[1:]]
    main(
        numbers[0] if numbers else 60.0,
        int(numbers[1]) if len(numbers) > 1 else 0,
        int(numbers[2]) if len(numbers) > 2 else 100,
    )
