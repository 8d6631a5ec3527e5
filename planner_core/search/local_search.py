"""Local search: annealing that improves any schedule, in compiled code, while others prove.

The operators' order and devices are what is searched; times follow from them. Graphs up to
``WHOLE_OPERATORS`` are annealed as a whole with restarts, larger ones window by window.

Importing this module imports numba.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from planner_core.problem import Problem
from planner_core.problem.graph import IntArray
from planner_core.schedule import Schedule, compile_tasks
from planner_core.schedule.columns import Columns, colocated, columns_of
from planner_core.search.annealing import advance, anneal_window
from planner_core.search.cooling import CALL_SECONDS, Pace, cooling
from planner_core.search.decoder import (
    Times,
    decisions_of,
    decode,
    empty_times,
    queues,
    schedule_of,
)
from planner_core.search.evaluation import tails
from planner_core.search.held_memory import fits_memory, has_memory_limits
from planner_core.search.incumbent import Incumbent
from planner_core.search.moves import Window, whole_window
from planner_core.search.order_search import OrderAnnealer
from planner_core.search.sequences import holds_follow_order

WHOLE_OPERATORS = 400
"""Graphs up to this size are annealed as a whole."""
GROUPED_OPERATORS = 3_000
"""The same, for graphs with colocation groups."""
ORDER_OPERATORS = 50_000
"""Placed graphs up to this size are annealed by the order of every resource."""
WINDOW_OPERATORS = 100
"""Size of the window that slides over larger graphs."""

HOT = (0.05, 0.05, 0.1, 0.4)
"""Temperatures, in typical durations, one of which a run of annealing begins with: mostly low, but
some graphs have their best schedule far from all that is nearly as good."""

LONGER, LONGEST_RUN = 1.5, 15.0
"""Each run of annealing takes longer than the one before by this factor, up to so many seconds."""


def improve(
    problem: Problem,
    schedule: Schedule,
    *,
    deadline: float,
    target: float | None = None,
    seed: int = 0,
    on_improve: Callable[[Schedule], None] = lambda schedule: None,
    cancelled: Callable[[], bool] = lambda: False,
    rival: Callable[[], Schedule | None] = lambda: None,
) -> Schedule:
    """Improve a schedule's makespan by local search.

    Parameters
    ----------
    problem : Problem
    schedule : Schedule
        A valid schedule to start from.
    deadline : float
        Value of ``time.monotonic()`` at which to return.
    target : float, optional
        Proved lower bound; the search returns as soon as it is met.
    seed : int
    on_improve : callable
        Called with every better schedule, each validated.
    cancelled : callable
        Looked at about twenty times a second; true means return.
    rival : callable
        Best schedule found elsewhere; looked at between two runs of annealing.

    Returns
    -------
    Schedule
        The best found; ``schedule`` itself if nothing better was.
    """
    search = Incumbent(
        problem,
        schedule,
        deadline=deadline,
        target=target,
        on_improve=on_improve,
        cancelled=cancelled,
        rival=rival,
    )
    if search.stopped:
        return search.best
    if problem.is_placed and problem.graph.n_operators <= ORDER_OPERATORS:
        tasks = compile_tasks(problem, schedule.device)
        if holds_follow_order(tasks):
            OrderAnnealer(search, tasks, seed).run()
            return search.best
    _Annealer(search, columns_of(problem), seed).run()
    return search.best


class _Annealer:
    """Annealing over (sequence, device)."""

    def __init__(self, search: Incumbent, columns: Columns, seed: int) -> None:
        self.search, self.columns = search, columns
        n = len(columns.stream)
        self.members = colocated(columns)
        self.state = np.array([seed * 2 + 88172645463325253], dtype=np.uint64)
        self.random = np.random.default_rng(seed)
        self.limited = has_memory_limits(columns)
        self.times: Times = empty_times(columns)
        self.trial: Times = empty_times(columns)
        self.sequence, self.device = decisions_of(columns, search.best)
        self.position = np.empty(n, dtype=np.int32)
        self.pace = Pace(2e4)

    def restart(self) -> None:
        """Go back to the best schedule known."""
        self.search.look_around()
        self.sequence, self.device = decisions_of(self.columns, self.search.best)
        self.position[self.sequence] = np.arange(len(self.sequence), dtype=np.int32)

    def run(self) -> None:
        """Anneal until the search is stopped."""
        self.restart()
        self.offer(self.sequence, self.device)
        n = len(self.sequence)
        # A colocation group moves only where all of it lies in the window.
        apart = bool(np.any(np.diff(self.members[0]) > 1)) and n <= GROUPED_OPERATORS
        whole = n <= WHOLE_OPERATORS or apart or queues(self.columns)
        seconds = 1.0
        while not self.search.stopped:
            self.restart()
            if whole:
                self.anneal_whole(seconds)
                seconds = min(LONGEST_RUN, seconds * LONGER)
            else:
                self.sweep()

    def offer(self, sequence: IntArray, device: IntArray) -> bool:
        """Decode and offer."""
        makespan = decode(self.columns, sequence, device, self.trial)
        return self.search.offer(
            makespan,
            lambda: schedule_of(self.search.problem, self.columns, device, self.trial),
        )

    def scale(self) -> float:
        """Typical duration: the unit of temperature.

        The root of the mean square, since where operators are most unlike it is the long ones
        that have to find their places.
        """
        own = self.columns.duration
        return float(np.sqrt(np.mean(own[np.isfinite(own)] ** 2))) or 1.0

    def anneal_whole(self, seconds: float) -> None:
        """One run of annealing over the whole graph."""
        window = whole_window(self.times)
        seconds = min(seconds, max(0.2, self.search.deadline - time.monotonic()))
        hot = self.scale() * float(self.random.choice(HOT))
        best_sequence, best_device = self.sequence.copy(), self.device.copy()
        for warmer, colder in cooling(seconds, hot, hot / 40):
            if self.search.stopped:
                return
            best = self.call(window, warmer, colder, CALL_SECONDS, best_sequence, best_device)
            if best < self.search.best.makespan:
                self.offer(best_sequence, best_device)

    def call(
        self,
        window: Window,
        hot: float,
        cold: float,
        seconds: float,
        best_sequence: IntArray,
        best_device: IntArray,
    ) -> float:
        """Anneal a window for about so long; return the best path through it."""
        _, best = anneal_window(
            self.columns,
            self.sequence,
            self.position,
            self.device,
            self.times,
            self.trial,
            window,
            self.members,
            hot,
            cold,
            self.pace.moves(seconds),
            self.limited and window.high - window.low == len(self.sequence),
            self.state,
            best_sequence,
            best_device,
        )
        self.pace.took()
        return best

    def sweep(self) -> None:
        """Slide the window over the sequence once, from the front to the back."""
        columns, n, step = self.columns, len(self.sequence), WINDOW_OPERATORS // 2
        tail, stream_tail = tails(columns, self.sequence, self.device, step)
        lows = range(0, max(1, n - step), step)
        left = self.search.deadline - time.monotonic()
        seconds = min(CALL_SECONDS, max(3e-4, 0.4 * left / len(lows)))
        hot = self.scale() * float(self.random.choice(HOT))
        best_sequence, best_device = self.sequence.copy(), self.device.copy()
        free = np.zeros_like(self.times.free)
        told = time.monotonic()
        for low in lows:
            if self.search.stopped:
                break
            high = min(n, low + 2 * step)
            window = Window(low, high, free.copy(), tail, stream_tail[-(-high // step)])
            before = (self.sequence[low:high].copy(), self.device[self.sequence[low:high]])
            self.call(window, hot, hot / 30, seconds, best_sequence, best_device)
            self.adopt(window, best_sequence[low:high], best_device)
            if self.limited and not self.keeps_memory():
                self.device[before[0]] = before[1]
                self.adopt(window, before[0], self.device)
            self.times.free[:] = free
            advance(columns, self.sequence, self.device, self.times, low, min(n, low + step))
            free[:] = self.times.free
            if time.monotonic() - told > max(1.0, 1e-5 * n):
                self.offer(self.sequence, self.device)
                told = time.monotonic()
        self.offer(self.sequence, self.device)

    def adopt(self, window: Window, sequence: IntArray, device: IntArray) -> None:
        """Put a sequence and devices into the window."""
        self.sequence[window.low : window.high] = sequence
        self.position[sequence] = np.arange(window.low, window.high, dtype=np.int32)
        self.device[sequence] = device[sequence]

    def keeps_memory(self) -> bool:
        """Whether the current decisions keep the memory limits."""
        decode(self.columns, self.sequence, self.device, self.trial)
        return bool(fits_memory(self.columns, self.device, self.trial))
