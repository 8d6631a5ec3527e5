"""Plans and expert schedules side by side, as rows of a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner_core.analysis.metrics import metrics
from planner_core.problem import Problem
from planner_core.schedule import Schedule, relative_gap


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One schedule and what is known about it.

    Parameters
    ----------
    title : str
    problem : Problem
    schedule : Schedule
    lower_bound : float or None
        Proved bound on the makespan, where one applies to this schedule's problem.
    fits : bool
    note : str
    """

    title: str
    problem: Problem
    schedule: Schedule
    lower_bound: float | None = None
    fits: bool = True
    note: str = ""


HELP: dict[str, str] = {
    "makespan": "Latest finish; times start at 0.",
    "difference": "Makespan minus that of the reference.",
    "lower bound": "No schedule of this problem is shorter: proved.",
    "gap": "(makespan − lower bound) / makespan.",
    "idle share": "1 − Σ busy / (devices × makespan): the share of all device time in which "
    "nothing runs.",
    "window share": "1 − busy / (last finish − first start), of the device with the longest "
    "window: the Zero Bubble authors' bubble rate.",
    "textbook rate": "(makespan − ideal) / ideal, with the busiest device's work as ideal: "
    "(p−1)/m for 1F1B.",
    "peak memory": "Largest memory in use on any device at any instant.",
    "transfer volume": "Sizes of all tensors that move between devices, once per receiver.",
    "throughput": "Micro-batches per unit of time.",
    "fits": "Whether the schedule keeps every rule and limit of the problem.",
    "note": "Proof, or the reason why the schedule does not fit.",
}
"""One line on every column."""


def rows(entries: list[Compared], reference: int = 0) -> list[dict[str, object]]:
    """Return one row per schedule; shares are in percent.

    Parameters
    ----------
    entries : list of Compared
    reference : int
        Entry that differences refer to.
    """
    figures = [metrics(entry.problem, entry.schedule) for entry in entries]
    base = figures[reference].makespan if figures else 0.0
    table: list[dict[str, object]] = []
    for entry, figure in zip(entries, figures, strict=True):
        bound = entry.lower_bound
        table.append(
            {
                "schedule": entry.title,
                "fits": "yes" if entry.fits else "no",
                "makespan": figure.makespan,
                "difference": figure.makespan - base,
                "lower bound": bound,
                "gap": None if bound is None else 100 * relative_gap(figure.makespan, bound),
                "idle share": 100 * figure.idle_share,
                "window share": 100 * figure.window_share,
                "textbook rate": 100 * figure.textbook_rate,
                "peak memory": figure.peak_memory,
                "transfer volume": figure.transfer_volume,
                "throughput": figure.throughput if np.isfinite(figure.throughput) else None,
                "note": entry.note,
            }
        )
    return table
