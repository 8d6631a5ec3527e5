"""The planner on pipelines with known bounds, through the command line, imports included.

Run ``python -m benchmarks.planner_targets [--limit 60] [--write]``. Each row starts a new Python
process, plans, and has the plan file checked by the independent validator. ``--write`` stores
the table in ``benchmarks/results/planner_targets.md``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIDIRECTIONAL = "--devices 8 --micro-batches 20 --placement bidirectional"
V = "--devices 8 --micro-batches 20 --placement v"
BY_INPUT = "--released-by-input 1"
UNEQUAL = "--forward 5 --backward-input 6 --backward-weight 4"
TRANSFER = "--forward 5 --backward-input 7 --backward-weight 3 --transfer 1"

CASES: list[tuple[str, str]] = [
    ("bidirectional 8x20, memory 9", f"{BIDIRECTIONAL} --memory 9"),
    *(
        (
            f"bidirectional 8x20, memory {m}, released by I",
            f"{BIDIRECTIONAL} --memory {m} {BY_INPUT}",
        )
        for m in (9, 8, 7, 6, 5, 4)
    ),
    *(
        (f"bidirectional 8x20, memory {m}, released by W", f"{BIDIRECTIONAL} --memory {m}")
        for m in (8, 7, 6, 5, 4)
    ),
    (
        "bidirectional 16x40, memory 17",
        "--devices 16 --micro-batches 40 --placement bidirectional --memory 17",
    ),
    (
        "bidirectional 16x40, memory 10, released by I",
        f"--devices 16 --micro-batches 40 --placement bidirectional --memory 10 {BY_INPUT}",
    ),
    *(
        (f"V 8x20, memory {c} chunks, released by I", f"{V} --memory {c} {BY_INPUT}")
        for c in (16, 14, 12, 10, 8)
    ),
    ("bidirectional 8x20, 5/6/4, memory 9", f"{BIDIRECTIONAL} {UNEQUAL} --memory 9 {BY_INPUT}"),
    ("bidirectional 8x20, 5/6/4, memory 6", f"{BIDIRECTIONAL} {UNEQUAL} --memory 6 {BY_INPUT}"),
    ("bidirectional 8x20, 5/6/4, memory 4", f"{BIDIRECTIONAL} {UNEQUAL} --memory 4 {BY_INPUT}"),
    (
        "bidirectional 8x20, 5/7/3, transfer 1, memory 9, released by I",
        f"{BIDIRECTIONAL} {TRANSFER} --memory 9 {BY_INPUT}",
    ),
    (
        "bidirectional 8x20, 5/7/3, transfer 1, memory 9, released by W",
        f"{BIDIRECTIONAL} {TRANSFER} --memory 9",
    ),
    (
        "linear 8x24, 2/2/1, memory 8, released by I",
        "--devices 8 --micro-batches 24 --placement linear --forward 2 --backward-input 2 "
        f"--backward-weight 1 --memory 8 {BY_INPUT}",
    ),
]
SAMPLES = [("job shop ft06", "job_shop_ft06.json"), ("job shop la01", "job_shop_la01.json")]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "planner_core", *arguments]


def measure(name: str, problem: Path, limit: float, folder: Path) -> str:
    plan_file = folder / "plan.json"
    begin = time.perf_counter()
    subprocess.run(
        command("plan", str(problem), "--time-limit", str(limit), "--output", str(plan_file)),
        capture_output=True,
        check=True,
    )
    seconds = time.perf_counter() - begin
    checked = subprocess.run(command("check", str(problem), str(plan_file)), capture_output=True)
    plan = json.loads(plan_file.read_text())
    objective = plan["objective"]
    status = plan["status"] if checked.returncode == 0 else "REFUSED BY THE VALIDATOR"
    return (
        f"| {name} | {objective['value']:g} | {objective['lower_bound']:g} | {status} | "
        f"{plan['found_by']} | {objective['proved_by']} | {seconds:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    samples = Path(__file__).parent.parent / "sample_graphs"
    lines = [
        f"Measured {datetime.date.today()} on {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, time limit {options.limit:g} s, one run each.",
        "",
        "| problem | makespan | lower bound | status | found by | proved by | seconds, all in |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        problems = []
        for label, flags in CASES:
            path = folder / f"{len(problems)}.json"
            arguments = ("pipeline", *flags.split(), "--output", str(path))
            subprocess.run(command(*arguments), capture_output=True, check=True)
            problems.append((label, path))
        problems += [(label, samples / file) for label, file in SAMPLES]
        for label, path in problems:
            lines.append(measure(label, path, options.limit, folder))
            print(lines[-1], flush=True)
    if options.write:
        results = Path(__file__).parent / "results"
        results.mkdir(exist_ok=True)
        heading = "# Pipelines with known bounds\n\n`python -m benchmarks.planner_targets`\n\n"
        (results / "planner_targets.md").write_text(heading + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
