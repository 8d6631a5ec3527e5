"""Planning at scale: 1,000 to 1,000,000 operators on eight devices, through ``plan``.

Run ``python -m benchmarks.scale [largest size]``; prints a Markdown table with its date. Every
row runs in a process of its own, so its peak memory is its own. The time limit is 300 s for the
largest graphs and grows with the size, so *seconds* says how long ``plan`` took in all; *first
plan* is when a validated schedule was there, and *within 1 %* when one within 1 % of the final
value was. The cost exponent x of n^x compares these with the row before.

Graphs: layered random DAGs (square root of n layers, two producers each); training steps of a
48-layer transformer (hidden size 1024, 8 H100 on NVLink), as many micro-batches as make up the
size.
"""

from __future__ import annotations

import datetime
import json
import math
import resource
import subprocess
import sys
import time

from planner_core.problem import Problem
from planner_core.problem.clusters import homogeneous
from planner_core.search.planner import plan
from planner_core.search.progress import Options, Progress
from planner_core.workloads import training, transformer
from planner_core.workloads.random_graphs import random_layered

SIZES = (1_000, 10_000, 100_000, 1_000_000)
TIME_LIMIT = {1_000: 20.0, 10_000: 40.0, 100_000: 80.0, 1_000_000: 280.0}
OPERATORS_PER_MICRO_BATCH = 1_161


def layered(size: int) -> Problem:
    return random_layered(size, 8, seed=1)


def transformer_training(size: int) -> Problem:
    batches = max(1, round(size / OPERATORS_PER_MICRO_BATCH))
    cluster = homogeneous(8, "H100")
    return training(transformer(48, 1024, 16, 1024, 32_000, cluster=cluster, micro_batches=batches))


GRAPHS = {"random layered": layered, "transformer training": transformer_training}


def measure(graph: str, size: int) -> dict[str, float | str]:
    """Plan one graph in this process."""
    problem = GRAPHS[graph](size)
    values: list[tuple[float, float]] = []

    def on_progress(event: Progress) -> None:
        if event.schedule is not None and event.incumbent is not None:
            values.append((event.elapsed, event.incumbent))

    begin = time.monotonic()
    found = plan(problem, Options(time_limit=TIME_LIMIT[size]), on_progress)
    seconds = time.monotonic() - begin
    value, bound = found.value or math.inf, found.lower_bound or 0.0
    close = [at for at, reached in values if reached <= 1.01 * value]
    return {
        "operators": problem.graph.n_operators,
        "seconds": seconds,
        "first": values[0][0] if values else math.nan,
        "close": close[0] if close else math.nan,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "value": value,
        "bound": bound,
        "gap": 0.0 if found.gap is None else found.gap,
        "found_by": found.found_by or "",
    }


def exponent(before: dict | None, now: dict, key: str) -> str:
    if before is None:
        return ""
    return f"{math.log(now[key] / before[key], now['operators'] / before['operators']):.2f}"


def main(largest: int) -> None:
    print(f"{datetime.date.today()}, 2 cores, 8 devices, seed 1\n")
    print(
        "| graph | operators | seconds | first plan, s | n^x | within 1 %, s | n^x | peak GiB | "
        "makespan, ms | bound, ms | gap | found by |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for graph in GRAPHS:
        before = None
        for size in (s for s in SIZES if s <= largest):
            command = [sys.executable, "-m", "benchmarks.scale", graph, str(size)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            row = json.loads(output.splitlines()[-1])
            print(
                f"| {graph} | {row['operators']:,} | {row['seconds']:.0f} | {row['first']:.1f} | "
                f"{exponent(before, row, 'first')} | {row['close']:.1f} | "
                f"{exponent(before, row, 'close')} | {row['memory']:.2f} | {row['value']:.6g} | "
                f"{row['bound']:.6g} | {100 * row['gap']:.2g} % | {row['found_by']} |",
                flush=True,
            )
            before = row


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1])
