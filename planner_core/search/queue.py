"""Searches of several people share the cores: people take turns, one search each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable

from planner_core.problem import Problem
from planner_core.search.process import SolveProcess, Worker
from planner_core.search.progress import Options

THREADS_PER_SEARCH = 2
"""The MIP and local search run side by side."""

ABSENCE = 10.0
"""Seconds after which the search of somebody who has left is stopped."""


SPARE_DELAY = 3.0
"""Seconds before the first spare worker starts: the first page has the cores to itself."""


class SolveQueue:
    """Starts searches as cores become free and stops those whose owner has left.

    Whoever was served least recently is next, and each owner's searches keep their order: a
    sweep of many searches delays somebody else by one of them, not by all.

    Parameters
    ----------
    slots : int, optional
        Searches at a time; default the number of cores over :data:`THREADS_PER_SEARCH`.
    spare : bool
        Keep one worker process ready, so that a search begins at once.
    new_worker : callable
        Makes a worker process.
    """

    def __init__(
        self,
        slots: int | None = None,
        *,
        spare: bool = True,
        new_worker: Callable[[], Worker] = Worker,
    ) -> None:
        self.slots = slots or max(1, (os.cpu_count() or 1) // THREADS_PER_SEARCH)
        self._lock = threading.Lock()
        self._waiting: list[SolveProcess] = []
        self._running: list[SolveProcess] = []
        self._present: dict[SolveProcess, Callable[[], bool]] = {}
        self._owner: dict[SolveProcess, Hashable] = {}
        self._turn: dict[Hashable, int] = {}
        self._turns = 0
        self._missing_since: dict[SolveProcess, float] = {}
        self._keep_spare = spare
        self._new_worker = new_worker
        self._spare: Worker | None = None
        self._spare_from = time.monotonic() + SPARE_DELAY
        self._wake = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="solve queue").start()

    def submit(
        self,
        problem: Problem,
        options: Options,
        present: Callable[[], bool] = lambda: True,
        owner: Hashable = None,
    ) -> SolveProcess:
        """Queue a search.

        Parameters
        ----------
        problem : Problem
        options : Options
        present : callable
            Whether whoever asked for the search is still there; after :data:`ABSENCE` seconds
            of absence it is stopped.
        owner : hashable
            Who takes turns with others; searches of one owner run in the order they came.

        Returns
        -------
        SolveProcess
        """
        job = SolveProcess(problem, options)
        with self._lock:
            self._waiting.append(job)
            self._present[job], self._owner[job] = present, owner
        self._wake.set()
        return job

    def place(self, job: SolveProcess) -> int:
        """Return how many searches start before this one; 0 once it runs."""
        with self._lock:
            if job not in self._waiting:
                return 0
            return self._line().index(job) + 1

    def _line(self) -> list[SolveProcess]:
        """Waiting searches in the order in which they will start."""
        turn, now = dict(self._turn), self._turns
        left, line = list(self._waiting), []
        while left:
            # Ties, of owners who had no turn yet, go to whoever came first.
            job = min(left, key=lambda waiting: turn.get(self._owner[waiting], 0))
            now += 1
            turn[self._owner[job]] = now
            left.remove(job)
            line.append(job)
        return line

    def _run(self) -> None:
        while True:
            self._wake.wait(0.2)
            self._wake.clear()
            self.step()

    def step(self) -> None:
        """Stop what nobody waits for, clear what is over, start what has a core."""
        with self._lock:
            for job in [*self._waiting, *self._running]:
                if self._left(job):
                    job.stop()
            for jobs in (self._waiting, self._running):
                jobs[:] = [job for job in jobs if not job.finished.is_set()]
            known = {*self._waiting, *self._running}
            for kept in (self._present, self._missing_since, self._owner):
                for job in [job for job in kept if job not in known]:
                    del kept[job]
            owners = set(self._owner.values())
            self._turn = {owner: turn for owner, turn in self._turn.items() if owner in owners}
            starting = self._line()[: self.slots - len(self._running)]
            for job in starting:
                self._turns += 1
                self._turn[self._owner[job]] = self._turns
                self._waiting.remove(job)
            self._running += starting
        for job in starting:
            job.start(self._take_worker())
        # A worker that warms up beside a search slows it: worth it only if another one waits.
        useful = bool(self._waiting) or not self._running
        due = self._keep_spare and time.monotonic() >= self._spare_from
        if due and useful and self._spare is None:
            self._spare = self._new_worker()

    def _take_worker(self) -> Worker:
        ready, self._spare = self._spare, None
        return ready if ready is not None and ready.alive else self._new_worker()

    def _left(self, job: SolveProcess) -> bool:
        if self._present[job]():
            self._missing_since.pop(job, None)
            return False
        since = self._missing_since.setdefault(job, time.monotonic())
        return time.monotonic() - since > ABSENCE
