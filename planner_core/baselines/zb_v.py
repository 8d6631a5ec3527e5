"""ZB-V: zero bubble within 1F1B's memory, two virtual stages per device."""

from __future__ import annotations

import itertools

import numpy as np

from planner_core.baselines.bench import Bench, BlockedError
from planner_core.baselines.dualpipe import v_shaped
from planner_core.baselines.layout import Layout, Rows
from planner_core.baselines.zero_bubble import require_split
from planner_core.problem import NotApplicable, Problem


def zb_v_layout(problem: Problem) -> Layout:
    """V-shaped placement of a pipeline whose backward is split.

    Raises
    ------
    NotApplicable
        If the stages do not divide or a backward is in one piece.
    """
    return require_split(v_shaped(problem, "ZB-V"))


def zb_v(layout: Layout) -> Rows:
    """ZB-V by its authors' heuristic (Qi et al. 2023 and 2024, and their repository).

    Within p activations of a whole device (2p of one virtual stage): warm up until the first
    micro-batch has come back, then rounds of one backward and one forward on every device,
    weight parts in the gaps. Rounds are repeated while what is learnt about each device's
    bubble makes the largest bubble smaller.

    Raises
    ------
    NotApplicable
        If the heuristic runs into a dead end.
    """
    p = layout.n_ranks
    held = [layout.holdings["F", v, 0][0] for v in range(2 * p)]
    limit = np.array([p * (held[d] + held[2 * p - 1 - d]) for d in range(p)])
    best: _Attempt | None = None
    for fill_backward, fill_forward in itertools.product((True, False), repeat=2):
        allowed: list[float] | None = None
        while True:
            attempt = _Attempt(layout, limit, fill_forward, fill_backward, allowed)
            try:
                attempt.run()
            except BlockedError:
                break
            if best is None or attempt.largest_bubble < best.largest_bubble:
                best = attempt
            if allowed is not None and attempt.largest_bubble >= max(allowed):
                break
            allowed = attempt.bench.bubble
    if best is None:
        raise NotApplicable("ZB-V's heuristic finds no order for these costs and micro-batches")
    return best.bench.rows


class _Attempt:
    """One run of the heuristic.

    A micro-batch runs in four legs: its forward down the devices (leg 0) and up (leg 1), its
    backward down and up. So leg 0 always comes from the device above, leg 1 from below.
    """

    def __init__(
        self,
        layout: Layout,
        limit: np.ndarray,
        fill_forward: bool,
        fill_backward: bool,
        allowed: list[float] | None,
    ) -> None:
        self.p, self.m = layout.n_ranks, layout.n_micro_batches
        self.bench = Bench(layout, limit)
        self.fill_forward, self.fill_backward = fill_forward, fill_backward
        self.allowed = allowed

    @property
    def largest_bubble(self) -> float:
        return max(self.bench.bubble)

    def virtual(self, letter: str, leg: int, d: int) -> int:
        return d if (letter == "F") == (leg == 0) else 2 * self.p - 1 - d

    def count(self, letter: str, leg: int, d: int) -> int:
        return self.bench.count[letter, self.virtual(letter, leg, d)]

    def place(self, letter: str, leg: int, d: int) -> None:
        self.bench.run(letter, self.virtual(letter, leg, d))

    def arrival(self, letter: str, leg: int, d: int) -> float | None:
        v = self.virtual(letter, leg, d)
        return self.bench.arrival(letter, v, self.bench.count[letter, v])

    def run(self) -> None:
        self.warm_up()
        for _ in range(2 * self.m):
            self.backward_round()
            self.forward_round()
        self.bench.finish_weights()

    def warm_up(self) -> None:
        """Run forwards until every device has seen the first micro-batch come back."""
        p, m, bench = self.p, self.m, self.bench
        for d in range(p):
            self.place("F", 0, d)
        self.place("F", 1, p - 1)
        for d in range(p - 2, -1, -1):
            there = self.arrival("F", 1, d)
            if there is None:
                raise BlockedError
            one = bench.holding("F", d)[0]
            while (
                self.count("F", 0, d) < m
                and bench.used[d] + one * (2 + 2 * d) <= bench.room[d]
                and bench.free[d] + bench.cost("F", d, self.count("F", 0, d)) <= there
            ):
                for above in range(d + 1):
                    self.place("F", 0, above)
            self.place("F", 1, d)
        leg = 0
        for d in range(1, p):
            while self.behind(d):
                for below in range(p - 1, d - 1, -1):
                    if self.count("F", leg, below) < m:
                        self.place("F", leg, below)
                leg = 1 - leg

    def behind(self, d: int) -> bool:
        """Whether a device has warmed up less than the one above it."""
        own, above = ([self.count("F", leg, k) for leg in (0, 1)] for k in (d, d - 1))
        return sum(own) < sum(above) or own[1] <= above[1] < self.m

    def backward_round(self) -> None:
        """One backward on every device: those coming up first, from the last device."""
        legs = [self.backward_leg(d) for d in range(self.p)]
        upward = [d for d in reversed(range(self.p)) if legs[d] == 1]
        downward = [d for d in range(self.p) if legs[d] == 0]
        for d in upward + downward:
            leg = legs[d]
            if self.count("I", leg, d) >= self.m:
                continue
            self.bench.make_room("I", self.virtual("I", leg, d))
            self.fill_gap("I", leg, d, greedy=leg == 1 or self.fill_backward)
            self.place("I", leg, d)

    def backward_leg(self, d: int) -> int:
        if self.count("I", 1, d) >= self.count("I", 0, d):
            return 0
        if d == self.p - 1 or self.count("I", 0, d) >= self.m:
            return 1
        return 0 if self.arrival("I", 1, d) is None else 1

    def forward_round(self) -> None:
        """One forward on every device that has one to run."""
        for d in range(self.p):
            leg = self.forward_leg(d)
            if leg is None:
                continue
            self.bench.make_room("F", self.virtual("F", leg, d))
            self.fill_gap("F", leg, d, greedy=self.fill_forward)
            self.place("F", leg, d)

    def forward_leg(self, d: int) -> int | None:
        if self.count("F", 1, d) >= self.m:
            return None
        if self.count("F", 1, d) >= self.count("F", 0, d):
            return 0
        if d == self.p - 1 or self.arrival("F", 1, d) is not None:
            return 1
        if self.count("F", 0, d) < self.m and self.arrival("F", 0, d) is not None:
            return 0
        return None

    def fill_gap(self, letter: str, leg: int, d: int, greedy: bool) -> None:
        """Run weight parts while a device waits for another's result."""
        bench = self.bench
        if d == (0 if leg == 0 else self.p - 1):
            return  # the input is the device's own
        there = self.arrival(letter, leg, d)
        if there is None:
            raise BlockedError
        while bench.weights[d] and bench.free[d] + bench.weight_cost(d) <= there:
            bench.run_weight(d)
        worst = self.largest_bubble
        if self.allowed is not None:
            worst = max(worst, max(self.allowed) - self.allowed[d])
        if greedy and bench.weights[d] and there - bench.free[d] > worst - bench.bubble[d]:
            bench.run_weight(d)
