"""The Zero Bubble authors' heuristic for unequal costs and a memory limit."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from planner_core.baselines.bench import Bench, BlockedError
from planner_core.baselines.layout import Layout, Rows
from planner_core.problem import NotApplicable
from planner_core.schedule import resident_memory


@dataclass(frozen=True)
class _Choices:
    """The heuristic's three switches; every combination is tried."""

    wait_for_first_backward: bool
    """Warm up only with forwards that end before the first backward can start."""
    prefer_backward: bool
    """Skip a forward that would delay the next backward too much."""
    fill_every_gap: bool
    """Run a weight part even in a gap that other devices' bubbles already pay for."""


def zb_greedy(layout: Layout) -> Rows:
    """Zero Bubble schedule found greedily (Qi et al. 2023, section 4.1 and their repository).

    Warm up within the memory limit until the first backward arrives; then alternate one
    forward and one backward per device; run weight parts where they fit a gap, where the gap
    makes the device the worst, or where memory is needed. Of all switch settings the one with
    the shortest longest window is kept.

    Raises
    ------
    NotApplicable
        If it cannot keep within the memory limit.
    """
    limit = layout.problem.cluster.memory - resident_memory(layout.problem, layout.device)
    best: Bench | None = None
    for switches in itertools.product((True, False), repeat=3):
        try:
            bench = _attempt(Bench(layout, limit[layout.ranks]), _Choices(*switches))
        except BlockedError:
            continue
        if best is None or bench.longest_window < best.longest_window:
            best = bench
    if best is None:
        raise NotApplicable(
            "the Zero Bubble greedy cannot keep within this memory limit; raise the limit"
        )
    return best.rows


def _attempt(bench: Bench, choices: _Choices) -> Bench:
    p, m = bench.layout.n_ranks, bench.layout.n_micro_batches
    _warm_up(bench, choices)
    for _ in range(1, m):
        takes = [bench.count["F", d] < m and _takes_forward(bench, choices, d) for d in range(p)]
        for d in range(p - 2, -1, -1):
            # A forward that nobody below takes on only fills memory.
            takes[d] = takes[d] and takes[d + 1]
        for d in range(p):
            if takes[d]:
                bench.make_room("F", d)
                if d > 0:
                    _fill_gap(bench, choices, "F", d)
                bench.run("F", d)
        for d in range(p - 1, -1, -1):
            bench.make_room("I", d)
            if d < p - 1:
                _fill_gap(bench, choices, "I", d)
            if d == 0 and bench.count["F", d] == m:
                while bench.weights[d]:
                    bench.run_weight(d)
            bench.run("I", d)
    bench.finish_weights()
    return bench


def _warm_up(bench: Bench, choices: _Choices) -> None:
    """Run forwards until the first backward, then the first backward on every device."""
    p, m = bench.layout.n_ranks, bench.layout.n_micro_batches
    for d in range(p):
        bench.make_room("F", d)
        bench.run("F", d)
    extra = [0] * p
    turn = bench.free[p - 1] + bench.cost("I", p - 1, 0)
    for d in range(p - 2, -1, -1):
        there = turn + bench.lag("I", d + 1)
        time, used = bench.free[d], bench.used[d]
        taken, freed = bench.holding("F", d)
        while 1 + extra[d] < m and used + taken <= bench.room[d]:
            cost = bench.cost("F", d, 1 + extra[d])
            if time + cost > there if choices.wait_for_first_backward else time >= there:
                break
            time, used = time + cost, used + taken - freed
            extra[d] += 1
        turn = max(time, there) + bench.cost("I", d, 0)
    for d in range(1, p):
        if 1 + extra[d] < m:
            extra[d] = max(0, min(extra[d], extra[d - 1] - 1))
    for d in range(p):
        for _ in range(extra[d]):
            bench.run("F", d)
    for d in range(p - 1, -1, -1):
        bench.make_room("I", d)
        bench.run("I", d)


def _takes_forward(bench: Bench, choices: _Choices, d: int) -> bool:
    """Whether a device should run a forward before its next backward."""
    if not choices.prefer_backward or d + 1 == bench.layout.n_ranks:
        return True
    f, f_below = bench.count["F", d], bench.count["F", d + 1]
    if f < f_below + 2:
        return True
    # When the device below could send a gradient after one more forward and backward.
    i = bench.count["I", d + 1]
    gradient = (
        bench.free[d + 1]
        + bench.cost("F", d + 1, f_below)
        + bench.cost("I", d + 1, i)
        + bench.lag("I", d + 1)
    )
    if bench.free[d] >= gradient:
        return False
    used = bench.used[d] + bench.holding("F", d)[0]
    end = bench.free[d] + bench.cost("F", d, f)
    for weight in bench.weights[d]:
        if used <= bench.room[d]:
            break
        taken, freed = bench.holding("W", d)
        used += taken - freed
        end += bench.cost(*weight)
    if end <= gradient:
        return True
    return gradient - bench.free[d] > max(bench.bubble) - bench.bubble[d]


def _fill_gap(bench: Bench, choices: _Choices, letter: str, d: int) -> None:
    """Run weight parts while a device waits for the input of its next F or I."""
    there = bench.arrival(letter, d, bench.count[letter, d])
    if there is None:
        raise BlockedError
    while bench.weights[d] and bench.free[d] + bench.weight_cost(d) <= there:
        bench.run_weight(d)
    if bench.weights[d] and bench.free[d] < there:
        covered = there - bench.free[d] <= max(bench.bubble) - bench.bubble[d]
        if choices.fill_every_gap or not covered:
            bench.run_weight(d)
