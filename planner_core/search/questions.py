"""The question "is there a schedule by this horizon?", placed and free, for horizon search."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyomo.environ as pyo

from planner_core.milp.fixed import fixed_placement_model
from planner_core.milp.free import free_placement_model
from planner_core.milp.free_grid import FreeGrid, transfer_times
from planner_core.milp.grid import Grid
from planner_core.problem import Problem
from planner_core.schedule import Schedule, Tasks, compile_tasks, retime
from planner_core.schedule.lattice import common_step
from planner_core.schedule.symmetry import identical_chains

MAX_COLUMNS = 200_000
"""Largest model worth building: about 10 s to build and 10 s to solve on one core."""

MAX_NONZEROS = 3_000_000
"""Pyomo builds about 150,000 coefficients a second."""

MAX_SLOTS = 4_000
"""Largest number of slots on an exact grid; beyond it durations are rounded up."""


@dataclass(frozen=True, eq=False)
class Built:
    """A model for one horizon and how to turn its solution into an exactly timed schedule."""

    model: pyo.ConcreteModel
    schedule: Callable[[np.ndarray], Schedule]


class Question(ABC):
    """The question whether a schedule ends by a horizon, in slots.

    Attributes
    ----------
    slot : float
        Length of a slot.
    exact : bool
        Whether every length is a whole number of slots, so that "no" is a proof.
    """

    slot: float
    exact: bool

    @abstractmethod
    def columns(self, horizon: int) -> int:
        """Number of binaries the model would have; 0 if a window is empty."""

    def nonzeros(self, horizon: int) -> int:
        """Rough number of coefficients the model would have."""
        return 5 * self.columns(horizon)

    @abstractmethod
    def build(self, horizon: int, stopped: Callable[[], bool] = lambda: False) -> Built | None:
        """Return the model, or None if a window is empty: nothing ends by this horizon.

        Raises
        ------
        BuildStopped
            Once ``stopped`` says so.
        """

    @abstractmethod
    def stretch(self) -> float:
        """What rounding up adds at most to the busiest resource, as a factor ≥ 1."""

    def slots(self, makespan: float) -> int:
        """Horizon in slots for schedules of about this makespan, rounding allowed for."""
        if self.exact:
            return math.ceil(makespan / self.slot - 1e-9)
        return math.ceil(self.stretch() * makespan / self.slot - 1e-9)


Asked = TypeVar("Asked", bound="Question")


class PlacedQuestion(Question):
    """Every operator's device is given."""

    def __init__(self, tasks: Tasks, grid: Grid, exact: bool) -> None:
        self.tasks, self.grid, self.exact, self.slot = tasks, grid, exact, grid.slot

    @classmethod
    def of(cls, problem: Problem, makespan: float) -> PlacedQuestion:
        """Choose the exact grid if the model stays small enough, else the finest that does."""
        tasks = compile_tasks(problem, problem.fixed_device)
        chains = identical_chains(tasks)
        step = common_step(np.concatenate([tasks.duration, tasks.arc_lag, tasks.release_lag]))
        return _finest(
            lambda slot, exact: cls(tasks, Grid.of(tasks, slot, chains), exact), step, makespan
        )

    def columns(self, horizon: int) -> int:
        """See :class:`Question`."""
        windows = self.grid.windows(horizon)
        return 0 if windows.is_empty else int((windows.latest - windows.earliest).sum())

    def stretch(self) -> float:
        """See :class:`Question`."""
        tasks = self.tasks
        rounded = np.bincount(tasks.resource, self.grid.duration, tasks.n_resources) * self.slot
        true = np.bincount(tasks.resource, tasks.duration, tasks.n_resources)
        return float(np.max(rounded[true > 0] / true[true > 0], initial=1.0))

    def build(self, horizon: int, stopped: Callable[[], bool] = lambda: False) -> Built | None:
        """See :class:`Question`."""
        windows = self.grid.windows(horizon)
        if windows.is_empty:
            return None
        fixed = fixed_placement_model(self.grid, windows, stopped)

        def schedule(values: np.ndarray) -> Schedule:
            start = fixed.start_slots(values) * self.slot
            return self.tasks.schedule(retime(self.tasks, start))

        return Built(fixed.model, schedule)


class FreeQuestion(Question):
    """Placement and order are decided together."""

    def __init__(self, grid: FreeGrid, exact: bool) -> None:
        self.grid, self.exact, self.slot = grid, exact, grid.slot

    @classmethod
    def of(cls, problem: Problem, makespan: float) -> FreeQuestion:
        """Choose the exact grid if the model stays small enough, else the finest that does."""
        lengths = [problem.durations.ravel(), transfer_times(problem).ravel()]
        every = np.concatenate(lengths)
        step = common_step(every[np.isfinite(every)])
        return _finest(lambda slot, exact: cls(FreeGrid.of(problem, slot), exact), step, makespan)

    def columns(self, horizon: int) -> int:
        """See :class:`Question`."""
        early, late = self.grid.windows(horizon)
        possible = early <= late
        if not possible.any(axis=1).all():
            return 0
        return int((late - early)[possible].sum() + possible.sum())

    def nonzeros(self, horizon: int) -> int:
        """See :class:`Question`: precedence, one at a time, memory."""
        early, late = self.grid.windows(horizon)
        graph, cluster = self.grid.problem.graph, self.grid.problem.cluster
        width = np.maximum(0, late - early + 1)
        choices = (width > 0).sum(axis=1)
        rows = 2 * width.sum(axis=1)[graph.edge_target]
        precedence = int((rows * (1 + choices[graph.edge_source])).sum())
        capacity = int(2 * (width + self.grid.duration).sum())
        limited = int(np.isfinite(cluster.memory).sum())
        held = 4 * (np.count_nonzero(graph.size) + len(graph.edge_tensor))
        return int(precedence + capacity + limited * horizon * held)

    def stretch(self) -> float:
        """See :class:`Question`."""
        true = np.where(self.grid.allowed, self.grid.problem.durations, 0.0).sum()
        return max(1.0, float(self.grid.duration.sum() * self.slot / true)) if true else 1.0

    def build(self, horizon: int, stopped: Callable[[], bool] = lambda: False) -> Built | None:
        """See :class:`Question`."""
        free = free_placement_model(self.grid, horizon, stopped)
        if free is None:
            return None

        def schedule(values: np.ndarray) -> Schedule:
            tasks, start = free.solution(values)
            return tasks.schedule(retime(tasks, start))

        return Built(free.model, schedule)


def _finest(make: Callable[[float, bool], Asked], step: float | None, makespan: float) -> Asked:
    """Question on the exact grid, or on the finest grid that keeps the model small."""
    if step is not None and makespan / step <= MAX_SLOTS:
        question = make(step, True)
        if _fits(question, makespan, 1.0):
            return question
    slots = 400.0
    while True:
        question = make(makespan / slots, False)
        if _fits(question, makespan, 0.5) or slots < 40:
            return question
        slots *= 0.7


def _fits(question: Question, makespan: float, share: float) -> bool:
    """Whether the model for schedules of about this makespan takes its share of the largest."""
    horizon = question.slots(makespan)
    small = question.columns(horizon) <= share * MAX_COLUMNS
    return small and question.nonzeros(horizon) <= share * MAX_NONZEROS
