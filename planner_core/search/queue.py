"""Searches of several people share the cores: first come, first served."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

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
        self._missing_since: dict[SolveProcess, float] = {}
        self._keep_spare = spare
        self._new_worker = new_worker
        self._spare: Worker | None = None
        self._spare_from = time.monotonic() + SPARE_DELAY
        self._wake = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="solve queue").start()

    def submit(
        self, problem: Problem, options: Options, present: Callable[[], bool] = lambda: True
    ) -> SolveProcess:
        """Queue a search.

        Parameters
        ----------
        problem : Problem
        options : Options
        present : callable
            Whether whoever asked for the search is still there; after :data:`ABSENCE` seconds
            of absence it is stopped.

        Returns
        -------
        SolveProcess
        """
        job = SolveProcess(problem, options)
        with self._lock:
            self._waiting.append(job)
            self._present[job] = present
        self._wake.set()
        return job

    def place(self, job: SolveProcess) -> int:
        """Return how many searches start before this one; 0 once it runs."""
        with self._lock:
            if job not in self._waiting:
                return 0
            return self._waiting.index(job) + 1

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
            for kept in (self._present, self._missing_since):
                for job in [job for job in kept if job not in known]:
                    del kept[job]
            starting = self._waiting[: self.slots - len(self._running)]
            del self._waiting[: len(starting)]
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
