"""A schedule: device, start and finish of every operator, and every transfer between devices."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner_core.problem import Problem
from planner_core.problem.graph import FloatArray, IntArray


def _no_numbers() -> IntArray:
    return np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, eq=False, kw_only=True)
class Transfers:
    """Transfers as columns, one row per (tensor, receiving device); all of shape (x,).

    With staged transfers ``start`` is when the sender's stream begins to copy the tensor out
    (the same for all receivers of a tensor) and ``finish`` when the receiver's stream has
    copied it in; the copies occupy the ends of that interval.
    """

    tensor: IntArray = field(default_factory=_no_numbers)
    source: IntArray = field(default_factory=_no_numbers)
    target: IntArray = field(default_factory=_no_numbers)
    start: FloatArray = field(default_factory=lambda: np.zeros(0))
    finish: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.tensor)


@dataclass(frozen=True, eq=False, kw_only=True)
class Schedule:
    """When and where every operator of ``problem.graph`` runs.

    Parameters
    ----------
    device : int32 array, shape (n,)
        Device number of each operator.
    start, finish : float arrays, shape (n,)
        In the problem's time unit.
    transfers : Transfers
        Every tensor that crosses devices, once per receiving device.
    overlapped : int32 array, shape (b, 2)
        Pairs of operators that truly overlap on one stream (published DualPipe blocks faster
        than their parts). The problem model has no such pairs: the validator refuses them
        unless it is told to let them pass.
    """

    device: IntArray
    start: FloatArray
    finish: FloatArray
    transfers: Transfers = field(default_factory=Transfers)
    overlapped: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int32))

    @property
    def makespan(self) -> float:
        """Latest finish."""
        return float(self.finish.max(initial=0.0))

    def order(self, problem: Problem) -> list[list[int]]:
        """Operators of each device by start time (ties: shorter first, then by finish)."""
        by_time = np.lexsort((self.finish, self.start))
        rows: list[list[int]] = [[] for _ in range(problem.n_devices)]
        for o in by_time:
            rows[self.device[o]].append(int(o))
        return rows
