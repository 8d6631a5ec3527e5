"""Small pipelines timed by the simulator, with the figures the lessons speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from planner_core.analysis.metrics import Metrics, metrics
from planner_core.baselines import run_baseline
from planner_core.problem import KINDS, Problem
from planner_core.schedule import Schedule
from planner_core.workloads import pipeline

LETTERS = {"forward": "F", "backward": "B", "backward_input": "I", "backward_weight": "W"}
"""What the lessons call each kind of operator."""


@dataclass(frozen=True, eq=False)
class Example:
    """One schedule of a lesson."""

    name: str
    title: str
    problem: Problem
    schedule: Schedule
    metrics: Metrics
    bubble: float
    """Idle time of the device with the longest window, from its first start to last finish."""

    @property
    def peaks(self) -> list[float]:
        """Peak memory of every device, in saved activations."""
        return [device.peak_memory for device in self.metrics.devices]


@lru_cache(maxsize=256)
def lesson_pipeline(
    p: int,
    m: int,
    placement: str = "linear",
    *,
    chunks: int = 1,
    F: float = 1.0,
    B: float | None = None,
    I: float = 1.0,  # noqa: E741
    W: float = 1.0,
    memory: float | None = None,
) -> Problem:
    """Return a pipeline whose devices have equal work, however many chunks they hold.

    Costs and activations are those of one device's share of the model: a device with two
    chunks runs each in half the time and saves half an activation for it.
    """
    return pipeline(
        p,
        m,
        placement,
        chunks=max(chunks, 1),
        forward=F / chunks,
        backward=None if B is None else B / chunks,
        backward_input=I / chunks,
        backward_weight=W / chunks,
        activation=1 / chunks,
        memory=memory,
        memory_unit="activations",
    )


@lru_cache(maxsize=512)
def example(name: str, problem: Problem, **settings: float) -> Example:
    """Run an expert schedule; it may need more memory than there is."""
    found = run_baseline(name, problem, **settings)
    return timed(name, found.title, found.problem, found.schedule)


def timed(name: str, title: str, problem: Problem, schedule: Schedule) -> Example:
    """Return a schedule with its figures."""
    return Example(
        name, title, problem, schedule, metrics(problem, schedule), _bubble(problem, schedule)
    )


def short_name(problem: Problem, operator: int) -> str:
    """Kind and micro-batch, such as ``F 2``: the number is the one in the chart's cell."""
    graph = problem.graph
    return f"{LETTERS[KINDS[graph.kind[operator]]]} {graph.micro_batch[operator]}"


def found(name: str, examples: Sequence[Example]) -> Example | None:
    """Return the example of that name, if there is one."""
    return next((example for example in examples if example.name == name), None)


def working_time(schedule: Schedule, device: int) -> float:
    """Return the time in which a device runs at least one operator; blocks overlap some."""
    members = np.flatnonzero(schedule.device == device)
    members = members[np.argsort(schedule.start[members], kind="stable")]
    start, finish = schedule.start[members], schedule.finish[members]
    before = np.maximum.accumulate(np.append(0.0, finish))[:-1]
    return float(np.maximum(0.0, finish - np.maximum(start, before)).sum())


def _bubble(problem: Problem, schedule: Schedule) -> float:
    windows = []
    for k in range(problem.n_devices):
        members = schedule.device == k
        if members.any():
            window = float(schedule.finish[members].max() - schedule.start[members].min())
            windows.append((window, window - working_time(schedule, k)))
    return max(windows)[1]
