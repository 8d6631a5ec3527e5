"""Period of the dnn-partitioning inputs: our value and bound against published references.

Run ``python -m benchmarks.max_load FOLDER [--limit 60] [--write]``, FOLDER holding the files
``dnn-partitioning_*.json`` of github.com/msr-fiddle/dnn-partitioning. ``--write`` stores the
table in ``benchmarks/results/max_load.md``.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import time
from pathlib import Path

from planner_core.formats import read_problem_file
from planner_core.schedule import validate
from planner_core.search import Options, plan

CASES: list[tuple[str, str, float, str]] = [
    ("bert24_layers_inference", "BERT-24 layers, inference", 17.79, "contiguous"),
    ("bert24_layers_training", "BERT-24 layers, training", 39.79, "contiguous 41.75"),
    ("bert3_operators_inference", "BERT-3 operators, inference", 27.92, "contiguous"),
]
"""File, name, best published max load and how it was reached (Tarnawski et al. 2020)."""


def measure(folder: Path, file: str, name: str, reference: float, how: str, limit: float) -> str:
    problem = read_problem_file(folder / f"dnn-partitioning_{file}.json")
    first: list[float] = []
    begin = time.perf_counter()

    def watch(event: object) -> None:
        gap = getattr(event, "gap", None)
        if gap is not None and gap <= 0.01 and not first:
            first.append(time.perf_counter() - begin)

    found = plan(problem, Options(time_limit=limit), on_progress=watch)
    valid = found.schedule is not None and not validate(problem, found.schedule)
    within = f"{first[0]:.1f}" if first else "–"
    status = found.status if valid else "REFUSED BY THE VALIDATOR"
    return (
        f"| {name} | {found.value:.3f} | {found.lower_bound:.3f} | {found.gap:.3%} | {status} | "
        f"{found.proved_by} | {within} | {found.seconds:.1f} | {reference:g} ({how}) |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = [
        f"Measured {datetime.date.today()} on {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, time limit {options.limit:g} s, one run each.",
        "",
        "| input | max load (ms) | lower bound | gap | status | proved by "
        "| seconds to 1 % | seconds | published |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for case in CASES:
        lines.append(measure(options.folder, *case, options.limit))
        print(lines[-1], flush=True)
    if options.write:
        results = Path(__file__).parent / "results"
        results.mkdir(exist_ok=True)
        heading = "# Max load\n\n`python -m benchmarks.max_load FOLDER`\n\n"
        (results / "max_load.md").write_text(heading + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
