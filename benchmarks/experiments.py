"""Three experiments, one command each; every one prints its table with its date.

Run ``python -m benchmarks.experiments chain | random | models [--limit S] [--write]``.

``chain``: an expert strategy reproduced. The planner gets operators in a chain × micro-batches,
each operator's passes together on one device but no word on which, and is compared with 1F1B,
ZB-H1 and the best of all expert schedules on derived stages.
``random``: random graphs of 10 to 20 operators on 2 to 4 devices: proved optimal or not, and
how far the heuristics are from the plan.
``models``: real medium models (ONNX: extra ``onnx``), training with 8 micro-batches on 4
devices, against HEFT and the best expert schedule.

``--write`` also stores the table in ``benchmarks/results/experiments_<name>.md``.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from planner_core.analysis.metrics import metrics
from planner_core.baselines import PIPELINE_BASELINES, BaselineResult
from planner_core.baselines.list_scheduling import cpop, heft
from planner_core.problem import NotApplicable, PlannerError, Problem
from planner_core.problem.clusters import homogeneous
from planner_core.schedule import Schedule
from planner_core.search import Options, plan
from planner_core.search.experts import run_expert
from planner_core.workloads import pipeline, random_layered, training, transformer

RESULTS = Path(__file__).parent / "results"

CHAINS: tuple[tuple[int, int, tuple[float, float, float], float, float | None], ...] = (
    (2, 4, (1, 1, 1), 0.0, None),
    (4, 8, (1, 1, 1), 0.0, None),
    (4, 8, (1, 1, 1), 0.0, 4.0),
    (4, 8, (5, 6, 4), 0.0, 4.0),
    (4, 8, (5, 6, 4), 1.0, None),
    (4, 16, (5, 7, 3), 1.0, 8.0),
)
"""Operators in the chain (and devices), micro-batches, (F, I, W), transfer, memory limit."""

RANDOM_GRAPHS = 50
MICRO_BATCHES, DEVICES = 8, 4
ONNX_MODELS = ("resnet50", "inception_v1", "inception_v2")
IMAGES = 32
"""Images of a micro-batch."""

Rows = Iterator[list[str]]


def chain(limit: float) -> Rows:
    yield [
        "chain × micro-batches", "F, I, W", "transfer", "memory", "1F1B", "ZB-H1", "best expert",
        "planner", "bound", "status", "seconds",
    ]  # fmt: skip
    for operators, micro_batches, costs, transfer, memory in CHAINS:
        problem = free_chain(operators, micro_batches, costs, transfer, memory)
        classic = [_makespan(expert(name, problem)) for name in ("1f1b", "zb-h1")]
        best = best_expert(problem)
        found = plan(problem, Options(time_limit=limit))
        yield [
            f"{operators} × {micro_batches}",
            ", ".join(f"{cost:g}" for cost in costs),
            f"{transfer:g}",
            "–" if memory is None else f"{memory:g}",
            *classic,
            "–" if best is None else f"{best.schedule.makespan:g} ({best.title})",
            _number(found.value),
            _number(found.lower_bound),
            found.status,
            f"{found.seconds:.1f}",
        ]


def free_chain(
    operators: int,
    micro_batches: int,
    costs: tuple[float, float, float],
    transfer: float,
    memory: float | None,
) -> Problem:
    """Return a pipeline without stages and devices: what is left is a chain."""
    forward, backward_input, backward_weight = costs
    problem = pipeline(
        operators,
        micro_batches,
        forward=forward,
        backward_input=backward_input,
        backward_weight=backward_weight,
        transfer=transfer,
        memory=memory,
    )
    graph = problem.template
    nowhere = np.full(graph.n_operators, -1, dtype=np.int32)
    bare = replace(
        graph,
        colocation=graph.stage,
        colocation_names=tuple(f"operator {s}" for s in range(operators)),
        stage=nowhere,
        device_set=nowhere,
    )
    return replace(problem, template=bare, name=f"chain of {operators}")


def random(limit: float) -> Rows:
    yield [
        "operators", "devices", "graphs", "proved", "HEFT / plan", "CPOP / plan", "mean seconds",
        "longest",
    ]  # fmt: skip
    groups: dict[int, list[tuple[bool, float, float, float]]] = {}
    for number in range(RANDOM_GRAPHS):
        generator = np.random.default_rng(number)
        operators, devices = int(generator.integers(10, 21)), 2 + number % 3
        problem = random_layered(operators, devices, seed=number)
        found = plan(problem, Options(time_limit=limit))
        value = found.value or np.inf
        ratios = [method(problem).makespan / value for method in (heft, cpop)]
        row = (found.status == "optimal", ratios[0], ratios[1], found.seconds)
        groups.setdefault(devices, []).append(row)
    everything = [row for rows in groups.values() for row in rows]
    for label, rows in (*((str(k), groups[k]) for k in sorted(groups)), ("all", everything)):
        proved, first, second, seconds = (np.array(column) for column in zip(*rows, strict=True))
        yield [
            "10–20",
            label,
            str(len(rows)),
            str(int(proved.sum())),
            *(f"{np.exp(np.log(ratio).mean()):.3f}" for ratio in (first, second)),
            f"{seconds.mean():.1f}",
            f"{seconds.max():.1f}",
        ]


def models(limit: float) -> Rows:
    yield [
        "model", "operators", "HEFT idle", "best expert", "its idle", "plan idle", "makespan (ms)",
        "bound (ms)", "found by",
    ]  # fmt: skip
    for problem in medium_models():
        best = best_expert(problem)
        found = plan(problem, Options(time_limit=limit))
        yield [
            problem.name,
            str(problem.graph.n_operators),
            _idle(problem, heft(problem)),
            "–" if best is None else best.title,
            "–" if best is None else _idle(best.problem, best.schedule),
            "–" if found.schedule is None else _idle(problem, found.schedule),
            _number(found.value),
            _number(found.lower_bound),
            found.found_by or "–",
        ]


def medium_models() -> Iterator[Problem]:
    """Yield training problems of ONNX models and of a transformer."""
    cluster = homogeneous(DEVICES)
    for name in ONNX_MODELS:
        path = light_models() / f"light_{name}.onnx"
        from planner_core.formats.onnx import parse_forward

        forward = parse_forward(path.read_bytes(), batch=IMAGES, cluster=cluster)
        yield training(forward, micro_batches=MICRO_BATCHES, name=name)
    forward = transformer(8, 1024, 16, 2048, 50_000, cluster=cluster)
    yield training(forward, micro_batches=MICRO_BATCHES, name="transformer, 8 layers")


def light_models() -> Path:
    """Folder of the weightless models that the onnx package brings for its own tests."""
    try:
        import onnx
    except ImportError:
        raise NotApplicable("this experiment needs parallelism-planner[onnx]") from None
    return Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def expert(name: str, problem: Problem) -> BaselineResult | None:
    try:
        return run_expert(name, problem)
    except PlannerError:
        return None


def best_expert(problem: Problem) -> BaselineResult | None:
    """Shortest expert schedule that is a solution of the problem."""
    found = [expert(baseline.name, problem) for baseline in PIPELINE_BASELINES]
    fitting = [result for result in found if result is not None and result.fits]
    return min(fitting, key=lambda result: result.schedule.makespan, default=None)


def _makespan(result: BaselineResult | None) -> str:
    if result is None:
        return "–"
    return f"{result.schedule.makespan:g}" + ("" if result.fits else " (does not fit)")


def _idle(problem: Problem, schedule: Schedule) -> str:
    return f"{100 * metrics(problem, schedule).idle_share:.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"


EXPERIMENTS: dict[str, tuple[Callable[[float], Rows], float]] = {
    "chain": (chain, 20.0),
    "random": (random, 10.0),
    "models": (models, 60.0),
}
"""The experiment and its time limit per instance in seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", choices=tuple(EXPERIMENTS))
    parser.add_argument("--limit", type=float, help="seconds per instance")
    parser.add_argument("--write", action="store_true", help="store the table")
    args = parser.parse_args()
    experiment, limit = EXPERIMENTS[args.experiment]
    if args.limit is not None:
        limit = args.limit
    begin = time.monotonic()
    lines = [
        f"# Experiment: {args.experiment}",
        "",
        f"{datetime.date.today()}, {platform.machine()}, {limit:g} s per instance, seed 0",
        "",
    ]
    print("\n".join(lines))
    for number, row in enumerate(experiment(limit)):
        text = "| " + " | ".join(row) + " |"
        lines.append(text)
        print(text, flush=True)
        if number == 0:
            lines.append("|" + "---|" * len(row))
            print(lines[-1])
    lines += ["", f"Took {time.monotonic() - begin:.0f} s."]
    print("\n".join(lines[-2:]))
    if args.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"experiments_{args.experiment}.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
