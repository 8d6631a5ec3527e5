"""What a running search tells, what it is told, and how it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from planner_core.problem import InputError, Problem
from planner_core.problem.settings import check_merging
from planner_core.schedule import Schedule, relative_gap

SEEDS = 2**31
"""Number of seeds there are."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a plan is searched for.

    Parameters
    ----------
    time_limit : float
        Wall-clock seconds, everything included.
    seed : int
        Of every random choice of the local searches. Equal seeds begin the same sequence of
        random numbers; how far it is followed, and how fast annealing cools, is up to the clock,
        so equal seeds give the same plan only where the search ends before its time does.
    merging : str
        ``automatic``, ``none`` or the heuristic by which operators are merged before the
        search, see :data:`~planner_core.problem.settings.MERGINGS`. A plan of the merged graph
        is un-merged and improved operator by operator, and bounds are always those of the
        graph as given.
    merging_cap : float, optional
        Work (least duration) a macro-operator may hold, in the time unit; by default 0.2 % of
        max(critical path, work over devices).

    Raises
    ------
    InputError
        If the merging is unknown, its cap negative or the seed out of range.
    """

    time_limit: float = 60.0
    seed: int = 0
    merging: str = "automatic"
    merging_cap: float | None = None

    def __post_init__(self) -> None:
        check_merging(self.merging, self.merging_cap)
        if not 0 <= self.seed < SEEDS:
            raise InputError(f"the seed is {self.seed}; it must lie between 0 and {SEEDS - 1}")


@dataclass(frozen=True)
class ModelSize:
    """Size of a mixed-integer programme."""

    columns: int
    rows: int
    nonzeros: int


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One event of a running search.

    Parameters
    ----------
    phase : str
        What is going on, in words: ``baselines``, ``bounds``, ``MIP, horizon 63`` …
    elapsed : float
        Wall-clock seconds since the call.
    incumbent, lower_bound : float or None
        Best value and best proved bound of the measure minimised first.
    schedule : Schedule or None
        The new best schedule, validated; only in the event that announces it.
    found_by, proved_by : str or None
        What found the incumbent and what proves the bound.
    model_size : ModelSize or None
        Of the programme being solved.
    merged_operators : int or None
        Operators left after merging, where merging took place.
    problem : Problem or None
        Of the schedule, if it is not the one that is searched: operators may have alternatives.
    """

    phase: str
    elapsed: float
    incumbent: float | None = None
    lower_bound: float | None = None
    schedule: Schedule | None = None
    found_by: str | None = None
    proved_by: str | None = None
    model_size: ModelSize | None = None
    merged_operators: int | None = None
    problem: Problem | None = None

    @property
    def gap(self) -> float | None:
        """(incumbent − lower bound) / incumbent, or None."""
        if self.incumbent is None or self.lower_bound is None:
            return None
        return relative_gap(self.incumbent, self.lower_bound)


OnProgress = Callable[[Progress], None]
"""Called from the searching thread with every event."""

Cancellation = threading.Event
"""Set it to stop a search: the best plan so far is returned."""
