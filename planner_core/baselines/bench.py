"""A bench for the Zero Bubble heuristics: place one action after another and see its time."""

from __future__ import annotations

from collections import deque

import numpy as np

from planner_core.baselines.layout import Action, Layout, Rows


class BlockedError(Exception):
    """A heuristic ran into a dead end: memory is full, or an input is not placed yet."""


class Bench:
    """Devices with their clock, memory and bubble while a heuristic places actions.

    Parameters
    ----------
    layout : Layout
        One direction; micro-batches are identical but may differ in cost.
    room : float array, shape (p,)
        Activation memory of each rank; inf = unlimited.
    """

    def __init__(self, layout: Layout, room: np.ndarray) -> None:
        self.layout, self.route = layout, layout.routes[0]
        self.room = [float(value) * (1 + 1e-12) for value in room]
        p = layout.n_ranks
        self.free = [0.0] * p
        self.used = [0.0] * p
        self.bubble = [0.0] * p
        self.first = [-1.0] * p
        self.rows: Rows = [[] for _ in range(p)]
        self.weights: list[deque[Action]] = [deque() for _ in range(p)]
        self.end: dict[Action, float] = {}
        self.count = {(letter, v): 0 for letter in "FIW" for v in range(layout.n_virtual)}

    def cost(self, letter: str, v: int, i: int) -> float:
        """Time of an action."""
        return self.layout.cost(letter, v, i)

    def lag(self, letter: str, v: int) -> float:
        """Transfer time of what (letter, v) sends on."""
        return self.layout.lags.get((letter, v, 0), 0.0)

    def arrival(self, letter: str, v: int, i: int) -> float | None:
        """When the input of F or I is there; None if its producer is not placed yet."""
        if letter == "F":
            if v == 0:
                return 0.0
            source: Action = ("F", v - 1, i)
        elif v == self.layout.n_virtual - 1:
            source = ("F", v, i)
        else:
            source = ("I", v + 1, i)
        end = self.end.get(source)
        if end is None:
            return None
        return end if source[1] == v else end + self.lag(source[0], source[1])

    def holding(self, letter: str, v: int) -> tuple[float, float]:
        """Memory that (letter, v) takes and frees."""
        return self.layout.holdings.get((letter, v, 0), (0.0, 0.0))

    def fits(self, letter: str, v: int) -> bool:
        """Whether the memory an action takes is free."""
        rank = self.route[v]
        return self.used[rank] + self.holding(letter, v)[0] <= self.room[rank]

    def run(self, letter: str, v: int) -> None:
        """Place the next action of (letter, v) behind all that its device runs.

        Raises
        ------
        BlockedError
            If its input is not placed yet.
        """
        i, rank = self.count[letter, v], self.route[v]
        there = self.end.get(("I", v, i)) if letter == "W" else self.arrival(letter, v, i)
        if there is None:
            raise BlockedError
        start = max(self.free[rank], there)
        if self.first[rank] >= 0:
            self.bubble[rank] += start - self.free[rank]
        else:
            self.first[rank] = start
        self.free[rank] = self.end[letter, v, i] = start + self.cost(letter, v, i)
        taken, freed = self.holding(letter, v)
        self.used[rank] += taken - freed
        self.count[letter, v] += 1
        self.rows[rank].append((letter, v, i))
        if letter == "I":
            self.weights[rank].append(("W", v, i))

    def run_weight(self, rank: int) -> None:
        """Place the oldest weight part that waits on a rank.

        Raises
        ------
        BlockedError
            If none waits.
        """
        if not self.weights[rank]:
            raise BlockedError
        letter, v, _ = self.weights[rank].popleft()
        self.run(letter, v)

    def weight_cost(self, rank: int) -> float:
        """Time of the oldest weight part that waits on a rank."""
        return self.cost(*self.weights[rank][0])

    def make_room(self, letter: str, v: int) -> None:
        """Run weight parts until an action's memory is free."""
        while not self.fits(letter, v):
            self.run_weight(self.route[v])

    def finish_weights(self) -> None:
        """Run all weight parts that wait."""
        for rank in range(len(self.free)):
            while self.weights[rank]:
                self.run_weight(rank)

    @property
    def longest_window(self) -> float:
        """Longest time from a device's first start to its last finish."""
        return max(end - start for start, end in zip(self.first, self.free, strict=True))
