"""Placement and order together, beside HEFT and OR-Tools CP-SAT with the same time.

Run ``python -m benchmarks.free_placement [--limit S] [--first I] [--last J] [--write]`` (extra
``benchmarks``). Instance i is drawn with seed i: layered random graphs, transformer blocks and
multimodal models of 50 to 200 operators on 4 and 8 like devices. Planner and CP-SAT run one after
the other, each with the same wall-clock limit and two threads; CP-SAT gets the HEFT schedule as a
hint. It needs whole numbers: durations and transfer times are given to it in 1/1000 of the mean
duration, rounded to the nearest; its order and devices are then timed exactly, and it is that
makespan that counts.

Every instance is a row that ``--write`` keeps in ``benchmarks/results/free_placement.jsonl`` as
soon as it is measured, so that a run can be continued: what is there for the same limit is not
measured again. The table of all rows goes to ``free_placement.md``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
from ortools.sat.python import cp_model

from planner_core.baselines.list_scheduling import heft
from planner_core.milp.free_grid import least_delays
from planner_core.problem import Problem
from planner_core.problem.clusters import homogeneous
from planner_core.schedule import Schedule, validate
from planner_core.schedule.columns import columns_of
from planner_core.search import Options, plan
from planner_core.search.decoder import decode, empty_times, schedule_of
from planner_core.workloads.multimodal import multimodal
from planner_core.workloads.random_graphs import random_layered
from planner_core.workloads.training import training
from planner_core.workloads.transformer import transformer

RESULTS = Path(__file__).parent / "results"
ROWS = RESULTS / "free_placement.jsonl"
INSTANCES = 100

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


def cp_sat(problem: Problem, hint: Schedule, seconds: float) -> tuple[float, bool]:
    """Makespan of CP-SAT's order and devices, timed exactly, and whether it proved its own."""
    graph, n_devices = problem.graph, problem.n_devices
    unit = float(np.mean(problem.durations.min(axis=1))) / RESOLUTION
    length = np.rint(problem.durations / unit).astype(np.int64)
    delay = least_delays(problem)
    model = cp_model.CpModel()
    horizon = int(np.ceil(1.05 * hint.makespan / unit)) + graph.n_operators
    rows: dict[tuple[int, int], list[cp_model.IntervalVar]] = {}
    home: dict[int, list[cp_model.IntVar]] = {}
    on: list[list[cp_model.IntVar]] = []
    start: list[cp_model.IntVar] = []
    finish: list[cp_model.LinearExpr] = []
    for o in range(graph.n_operators):
        start.append(model.NewIntVar(0, horizon, ""))
        model.AddHint(start[o], round(hint.start[o] / unit))
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
        lag = round(float(delay[t, 0, 1]) / unit)
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
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return hint.makespan, False
    begin = np.array([solver.Value(x) for x in start])
    device = np.array(
        [next(k for k in range(n_devices) if solver.Value(choice[k])) for choice in on], np.int32
    )
    return _exactly(problem, begin, device), status == cp_model.OPTIMAL


def _exactly(problem: Problem, begin: np.ndarray, device: np.ndarray) -> float:
    """Makespan of given starting order and devices with the exact durations, validated."""
    columns = columns_of(problem)
    rank = np.empty(len(begin), dtype=np.int64)
    rank[columns.topological] = np.arange(len(begin))
    times = empty_times(columns)
    decode(columns, np.lexsort((rank, begin)).astype(np.int32), device, times)
    schedule = schedule_of(problem, columns, device, times)
    assert not validate(problem, schedule)
    return schedule.makespan


def measure(number: int, limit: float) -> dict:
    """Return one instance's row."""
    problem = instance(number)
    start = heft(problem)
    load = os.getloadavg()[0]
    begin, cpu = time.monotonic(), time.process_time()
    found = plan(problem, Options(time_limit=limit))
    mine = time.monotonic() - begin, time.process_time() - cpu
    begin, cpu = time.monotonic(), time.process_time()
    value, proved = cp_sat(problem, start, limit)
    its = time.monotonic() - begin, time.process_time() - cpu
    return {
        "number": number,
        "date": str(datetime.date.today()),
        "limit": limit,
        "load": round(load, 1),
        "name": problem.name,
        "operators": problem.graph.n_operators,
        "devices": problem.n_devices,
        "heft": start.makespan,
        "plan": found.value,
        "bound": found.lower_bound,
        "status": found.status,
        "found_by": found.found_by,
        "seconds": round(mine[0], 1),
        "cpu": round(mine[1], 1),
        "cp_sat": value,
        "cp_sat_proved": proved,
        "cp_sat_seconds": round(its[0], 1),
        "cp_sat_cpu": round(its[1], 1),
    }


def table(rows: list[dict]) -> str:
    """Return the rows as a Markdown table, with what they come to."""
    lines = [
        "| # | instance | operators | devices | HEFT | plan | bound | gap | found by | s (CPU s) | "
        "CP-SAT | s (CPU s) | plan / CP-SAT |",
        "|" + "---|" * 13,
    ]
    for row in rows:
        lines.append(
            f"| {row['number']} | {row['name']} | {row['operators']} | {row['devices']} | "
            f"{row['heft']:.6g} | {row['plan']:.6g} | {row['bound']:.6g} | "
            f"{1 - row['bound'] / row['plan']:.2%} | {row['found_by']} | "
            f"{row['seconds']:.0f} ({row['cpu']:.0f}) | "
            f"{row['cp_sat']:.6g}{', proved' if row['cp_sat_proved'] else ''} | "
            f"{row['cp_sat_seconds']:.0f} ({row['cp_sat_cpu']:.0f}) | "
            f"{row['plan'] / row['cp_sat']:.4f} |"
        )
    ratio = np.array([row["plan"] / row["cp_sat"] for row in rows])
    against = np.array([row["plan"] / row["heft"] for row in rows])
    proved = sum(row["status"] == "optimal" for row in rows)
    lines += [
        "",
        f"At or below CP-SAT: {int((ratio <= 1 + 1e-9).sum())} of {len(rows)} "
        f"(within 0.01 %: {int((ratio <= 1 + 1e-4).sum())}); geometric mean of plan / CP-SAT "
        f"{np.exp(np.log(ratio).mean()):.4f}, largest {ratio.max():.4f}. Never worse than HEFT: "
        f"{int((against <= 1 + 1e-9).sum())} of {len(rows)}. Proved optimal: {proved}; CP-SAT "
        f"proved (its rounded durations): {sum(row['cp_sat_proved'] for row in rows)}.",
    ]
    return "\n".join(lines)


def kept(limit: float) -> dict[int, dict]:
    """Return the rows measured before with the same limit, by number."""
    if not ROWS.exists():
        return {}
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    return {row["number"]: row for row in rows if row["limit"] == limit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each of the two")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, default=INSTANCES, help="one past the last instance")
    parser.add_argument("--write", action="store_true", help="keep the rows and the table")
    args = parser.parse_args()
    rows = kept(args.limit) if args.write else {}
    for number in range(args.first, args.last):
        if number in rows:
            continue
        row = rows[number] = measure(number, args.limit)
        print(table([row]).splitlines()[2], flush=True)
        if args.write:
            with ROWS.open("a") as file:
                file.write(json.dumps(row) + "\n")
    text = table([rows[number] for number in sorted(rows)])
    print("\n" + text.splitlines()[-1])
    if args.write:
        dates = sorted({row["date"] for row in rows.values()})
        head = (
            "# Free placement beside CP-SAT\n\n"
            f"`python -m benchmarks.free_placement --limit {args.limit:g} --write`: {len(rows)} of "
            f"{INSTANCES} instances.\n\nMeasured {' to '.join(dict.fromkeys(dates))} on 2 cores "
            f"({platform.machine()}), {args.limit:g} s of wall clock and two threads for each "
            "side, one run each. CPU seconds tell how much of the two cores a side had.\n\n"
        )
        (RESULTS / "free_placement.md").write_text(head + text + "\n")


if __name__ == "__main__":
    main()
