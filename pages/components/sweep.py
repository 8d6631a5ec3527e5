"""A sweep of memory limits: one search a limit, points as they are solved."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from pages.components import baselines
from pages.components.problems import common_memory, with_settings
from pages.components.solves import sound, start
from planner_core.charts import FrontierPoint
from planner_core.charts.numbers import number
from planner_core.problem import Problem
from planner_core.schedule import Plan, peak_memory
from planner_core.search.process import SolveProcess
from planner_core.search.progress import Options


@dataclass(eq=False)
class Sweep:
    """Searches of one problem at several memory limits."""

    base: Problem
    jobs: list[tuple[float, SolveProcess]]
    checked: dict[SolveProcess, bool] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether a search is still to end."""
        return not all(job.finished.is_set() for _, job in self.jobs)

    def stop(self) -> None:
        """Stop all searches; what they found stays."""
        for _, job in self.jobs:
            job.stop()

    def plans(self) -> list[tuple[float, Plan]]:
        """Finished searches' plans by memory limit; none that the validator refuses."""
        found = []
        for limit, job in self.jobs:
            plan = job.snapshot().plan if job.finished.is_set() else None
            if plan is None:
                continue
            if job not in self.checked:
                self.checked[job] = sound(job, plan)
            if self.checked[job]:
                found.append((limit, plan))
        return found

    def failures(self) -> list[tuple[float, str]]:
        """Limits for which no plan was found, and why."""
        found = []
        for limit, job in self.jobs:
            known = job.snapshot()
            if known.plan is not None and known.plan.schedule is None:
                found.append((limit, known.plan.reason or known.plan.status))
            elif known.plan is None and known.error:
                found.append((limit, known.error))
        return found


def default_range(problem: Problem) -> tuple[float, float]:
    """Lowest and highest limit offered: half of, and the limit or the most that is useful."""
    high = common_memory(problem)
    if high is None:
        peaks = [point.peak_memory for point in baseline_points(problem)]
        high = max(peaks, default=1.0)
    low = float(np.ceil(high / 2)) if high >= 4 else high / 2
    return low, high


def limits_between(low: float, high: float, count: int) -> list[float]:
    """Limits in equal steps, whole numbers where the ends are whole, the highest first."""
    values = np.linspace(min(low, high), max(low, high), count)
    if float(low).is_integer() and float(high).is_integer():
        values = np.round(values)
    return sorted({float(f"{value:.6g}") for value in values.tolist()}, reverse=True)


def start_sweep(problem: Problem, limits: list[float], seconds: float) -> Sweep:
    """Queue one search per limit."""
    jobs = [
        (
            limit,
            start(
                with_settings(problem, memory=limit, minimize=("makespan",)),
                Options(time_limit=seconds),
            ),
        )
        for limit in limits
    ]
    return Sweep(problem, jobs)


def plan_points(sweep: Sweep) -> list[FrontierPoint]:
    """Points of the plans found so far."""
    points = []
    for limit, plan in sweep.plans():
        if plan.schedule is None:
            continue
        proof = f"optimal, proved by the {plan.proved_by}" if plan.status == "optimal" else ""
        points.append(
            FrontierPoint(
                key=f"limit {number(limit)}",
                title=f"plan at memory limit {number(limit)}",
                peak_memory=peak_memory(plan.problem, plan.schedule),
                makespan=plan.schedule.makespan,
                kind=plan.status,
                note=proof,
                lower_bound=plan.lower_bound,
                limit=limit,
            )
        )
    return points


def baseline_points(problem: Problem) -> list[FrontierPoint]:
    """Points of every expert schedule that can be run on a problem."""
    points = []
    for name, (title, reason) in baselines.choices(problem).items():
        found = None if reason else baselines.result(name, problem)
        if found is None or isinstance(found, str):
            continue
        points.append(
            FrontierPoint(
                key=name,
                title=title,
                peak_memory=peak_memory(found.problem, found.schedule),
                makespan=found.schedule.makespan,
                kind="baseline",
                note="" if found.fits else found.reason or "",
            )
        )
    return points


def running_sweep() -> Sweep | None:
    """Return the sweep of this session."""
    return st.session_state.get("sweep")
