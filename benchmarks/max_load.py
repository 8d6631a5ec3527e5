"""Period of the dnn-partitioning inputs: our value and bound against published references.

Run ``python -m benchmarks.max_load FOLDER [--limit 60] [--write]``, FOLDER holding files of
github.com/msr-fiddle/dnn-partitioning: those named below, and any others of its
``throughput-inputs``, which are measured too. ``--write`` stores the table in
``benchmarks/results/max_load.md``.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from planner_core.formats import read_problem_file
from planner_core.schedule import validate
from planner_core.search import Options, plan

PUBLISHED: dict[str, tuple[str, str]] = {
    "dnn-partitioning_bert24_layers_inference": ("BERT-24 layers, inference", "17.79 (contiguous)"),
    "dnn-partitioning_bert24_layers_training": (
        "BERT-24 layers, training",
        "39.79 (contiguous 41.75)",
    ),
    "dnn-partitioning_bert3_operators_inference": (
        "BERT-3 operators, inference",
        "27.92 (contiguous)",
    ),
}
"""Name and best published max load by file (Tarnawski et al. 2020)."""


def cases(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield file, name and published value of every input in the folder."""
    for path in sorted(folder.glob("*.json")):
        if '"maxFPGAs"' in path.read_text(encoding="utf-8"):
            yield path, *PUBLISHED.get(path.stem, (path.stem.replace("_", " "), "–"))


def measure(path: Path, name: str, published: str, limit: float) -> str:
    problem = read_problem_file(path)
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
        f"{found.proved_by} | {within} | {found.seconds:.1f} | {published} |"
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
    for case in cases(options.folder):
        lines.append(measure(*case, options.limit))
        print(lines[-1], flush=True)
    if options.write:
        results = Path(__file__).parent / "results"
        results.mkdir(exist_ok=True)
        heading = "# Max load\n\n`python -m benchmarks.max_load FOLDER`\n\n"
        (results / "max_load.md").write_text(heading + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
