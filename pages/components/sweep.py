"""A sweep of one setting: one search a value, points as they are solved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import streamlit as st

from pages.components import baselines
from pages.components.problems import common_memory, with_settings
from pages.components.solves import sound, start, waiting_words
from planner_core.charts import FrontierPoint
from planner_core.charts.numbers import number
from planner_core.problem import InputError, NotApplicable, Problem
from planner_core.problem.micro_batches import micro_batch_range, with_micro_batches
from planner_core.schedule import Plan, measure, micro_batch_count, peak_memory
from planner_core.search.process import SolveProcess
from planner_core.search.progress import Options
from planner_core.workloads.recipe import pipeline_recipe, with_devices


@dataclass(frozen=True)
class Axis:
    """A setting that can be swept.

    Parameters
    ----------
    title : str
        For the choice; ``label`` with the unit for the axis of the plot.
    whole : bool
        Whether only whole numbers make sense.
    span : callable
        Lowest and highest value offered for a problem.
    change : callable
        Returns the problem with a value.
    """

    title: str
    label: Callable[[Problem], str]
    whole: bool
    span: Callable[[Problem], tuple[float, float]]
    change: Callable[[Problem, float], Problem]
    possible: Callable[[Problem], bool] = lambda problem: True


def default_range(problem: Problem) -> tuple[float, float]:
    """Lowest and highest limit offered: half of, and the limit or the most that is useful."""
    high = common_memory(problem)
    if high is None:
        peaks = [point.peak_memory for point in baseline_points(problem)]
        high = max(peaks, default=1.0)
    low = float(np.ceil(high / 2)) if high >= 4 else high / 2
    return low, high


def with_transfer_time(problem: Problem, time: float) -> Problem:
    """Return the same problem with every transfer taking ``time``."""
    cluster = problem.cluster
    linked = cluster.has_link & ~np.eye(problem.n_devices, dtype=bool)
    changed = replace(
        cluster,
        latency=np.where(linked, time, cluster.latency),
        bandwidth=np.where(linked, np.inf, cluster.bandwidth),
    )
    free = np.full(problem.template.n_tensors, np.nan)
    return replace(problem, cluster=changed, template=replace(problem.template, transfer=free))


def _most_transfer(problem: Problem) -> float:
    """A transfer as long as an average operator: where it begins to rule the makespan."""
    durations = problem.durations
    return float(f"{durations[np.isfinite(durations)].mean():.1g}")


def _listed_apart(problem: Problem) -> bool:
    try:
        with_micro_batches(problem, micro_batch_range(problem) + 1)
    except (InputError, NotApplicable):
        return False
    return True


AXES: dict[str, Axis] = {
    "memory": Axis(
        "memory limit",
        lambda problem: f"memory per device ({problem.memory_unit})",
        False,
        default_range,
        lambda problem, value: with_settings(problem, memory=value),
        lambda problem: problem.objective.primary != "peak_memory",
    ),
    "micro_batches": Axis(
        "micro-batches",
        lambda problem: "micro-batches",
        True,
        lambda problem: (
            float(max(1, micro_batch_count(problem) // 2)),
            float(2 * micro_batch_count(problem)),
        ),
        lambda problem, value: with_micro_batches(problem, int(value)),
        _listed_apart,
    ),
    "devices": Axis(
        "devices",
        lambda problem: "devices",
        True,
        lambda problem: (float(max(1, problem.n_devices // 2)), float(2 * problem.n_devices)),
        lambda problem, value: with_devices(problem, int(value)),
        lambda problem: pipeline_recipe(problem) is not None,
    ),
    "transfer_time": Axis(
        "transfer time",
        lambda problem: f"time of every transfer ({problem.time_unit})",
        False,
        lambda problem: (0.0, _most_transfer(problem)),
        with_transfer_time,
    ),
}
"""What can be swept."""


@dataclass(eq=False)
class Sweep:
    """Searches of one problem at several values of a setting, all with the same options."""

    base: Problem
    axis: str
    options: Options
    jobs: list[tuple[float, SolveProcess]]
    checked: dict[SolveProcess, bool] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether a search is still to end."""
        return not all(job.finished.is_set() for _, job in self.jobs)

    def is_of(self, problem: Problem, axis: str, options: Options) -> bool:
        """Whether this sweeps a setting of exactly this problem, merged in the same way."""
        mergings = [(o.merging, o.merging_cap) for o in (self.options, options)]
        return self.base is problem and self.axis == axis and mergings[0] == mergings[1]

    def waiting(self) -> str:
        """Say which place in line its next search has; "" while one runs."""
        states = {job: job.snapshot().state for _, job in self.jobs}
        if not set(states.values()).isdisjoint({"running", "stopping"}):
            return ""
        waiting = [waiting_words(job) for job, state in states.items() if state == "waiting"]
        return waiting[0] if waiting else ""

    def stop(self) -> None:
        """Stop all searches; what they found stays."""
        for _, job in self.jobs:
            job.stop()

    def plans(self) -> list[tuple[float, Plan]]:
        """Finished searches' plans by value; none that the validator refuses."""
        found = []
        for value, job in self.jobs:
            plan = job.snapshot().plan if job.finished.is_set() else None
            if plan is None:
                continue
            if job not in self.checked:
                self.checked[job] = sound(job, plan)
            if self.checked[job]:
                found.append((value, plan))
        return found

    def failures(self) -> list[tuple[float, str]]:
        """Values for which no plan was found, and why."""
        found = []
        for value, job in self.jobs:
            known = job.snapshot()
            if known.plan is not None and known.plan.schedule is None:
                found.append((value, known.plan.reason or known.plan.status))
            elif known.plan is None and known.error:
                found.append((value, known.error))
        return found


def values_between(low: float, high: float, count: int, whole: bool = False) -> list[float]:
    """Values in equal steps, whole where they must be or the ends are, the highest first."""
    values = np.linspace(min(low, high), max(low, high), count)
    if whole or (float(low).is_integer() and float(high).is_integer()):
        values = np.round(values)
    return sorted({float(f"{value:.6g}") for value in values.tolist()}, reverse=True)


def start_sweep(problem: Problem, axis: str, values: list[float], options: Options) -> Sweep:
    """Queue one search per value; objective and budgets are the problem's.

    Raises
    ------
    InputError, NotApplicable
        If the problem cannot take a value; nothing is queued then.
    """
    problems = [(value, AXES[axis].change(problem, value)) for value in values]
    jobs = [(value, start(made, options, "sweep")) for value, made in problems]
    return Sweep(problem, axis, options, jobs)


def point_key(axis: str, value: float) -> str:
    """Key of the plan at a value."""
    return f"{AXES[axis].title} {number(value)}"


def plan_points(sweep: Sweep) -> list[FrontierPoint]:
    """Points of the plans found so far."""
    points = []
    for value, plan in sweep.plans():
        if plan.schedule is None or plan.value is None:
            continue
        proof = f"optimal, proved by the {plan.proved_by}" if plan.status == "optimal" else ""
        points.append(
            FrontierPoint(
                key=point_key(sweep.axis, value),
                title=f"plan at {point_key(sweep.axis, value)}",
                peak_memory=peak_memory(plan.problem, plan.schedule),
                value=plan.value,
                kind=plan.status,
                note=proof,
                lower_bound=plan.lower_bound,
                limit=value,
            )
        )
    return points


def baseline_points(problem: Problem, value: float | None = None) -> list[FrontierPoint]:
    """Points of the expert schedules made of a problem so far.

    They stand at the peak memory they need, or at a value of another axis.
    """
    suffix = "" if value is None else f"@{number(value)}"
    return [
        FrontierPoint(
            key=f"{name}{suffix}",
            title=baselines.choices(problem)[name][0],
            peak_memory=peak_memory(found.problem, found.schedule),
            value=measure(problem.objective.primary, found.problem, found.schedule),
            kind="baseline",
            note="" if found.fits else found.reason or "",
            limit=value,
        )
        for name, found in baselines.making(problem).found()
    ]


@dataclass(frozen=True)
class Experts:
    """Expert schedules beside the plans: points so far, how many were made, and if that is all."""

    points: list[FrontierPoint]
    made: int
    count: int
    over: bool


def experts(problem: Problem, axis: str, sweep: Sweep | None, seconds: float = 0.0) -> Experts:
    """Make expert schedules: of the problem, or of every value of a sweep of another setting.

    Parameters
    ----------
    problem : Problem
    axis : str
    sweep : Sweep, optional
    seconds : float
        How long to wait for them.
    """
    of: list[tuple[Problem, float | None]] = [(problem, None)]
    if axis != "memory":
        of = [(job.problem, value) for value, job in sweep.jobs] if sweep else []
    points: list[FrontierPoint] = []
    made, count, over = 0, 0, True
    for each, value in of:
        count += sum(not reason for _, reason in baselines.choices(each).values())
        if over:  # one problem at a time: they share a core
            making = baselines.making(each)
            over = making.over(seconds)
            made += len(making.made)
            points += baseline_points(each, value)
    return Experts(points, made, count, over)


def chosen_point(points: list[FrontierPoint]) -> str | None:
    """Key of the point that was clicked, or of the row chosen in the table."""
    state = st.session_state.get("frontier")
    for point in state["selection"]["points"] if state else []:
        if point.get("customdata"):
            return str(point["customdata"][0])
    table = st.session_state.get("points_table")
    rows = table["selection"]["rows"] if table else []
    return points[rows[0]].key if rows and rows[0] < len(points) else None


def running_sweep() -> Sweep | None:
    """Return the sweep of this session."""
    return st.session_state.get("sweep")
