"""A search in a process of its own, watched from this one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from typing import IO, Any

from planner_core.formats.native import problem_document
from planner_core.problem import Problem
from planner_core.schedule import Plan, Schedule
from planner_core.search.progress import ModelSize, Options, Progress
from planner_core.search.wire import plan_from, progress_from
from planner_core.search.worker import GRACE

KEPT_LINES = 30
"""Lines of a worker's standard error kept for a crash report."""


@dataclass(kw_only=True)
class Snapshot:
    """What is known of a search so far; everything survives the end of its process.

    Parameters
    ----------
    state : str
        ``waiting`` (for a core), ``running``, ``stopping``, ``done``, ``failed``.
    phase : str
    elapsed : float
        Wall-clock seconds since the search began.
    history : list of (seconds, incumbent, lower bound)
    schedule : Schedule or None
        The best so far.
    plan : Plan or None
        The answer; after a stop or a crash the best so far as a plan.
    error : str or None
        One sentence if the search failed.
    """

    state: str = "waiting"
    phase: str = ""
    elapsed: float = 0.0
    incumbent: float | None = None
    lower_bound: float | None = None
    found_by: str | None = None
    proved_by: str | None = None
    model_size: ModelSize | None = None
    history: list[tuple[float, float | None, float | None]] = field(default_factory=list)
    schedule: Schedule | None = None
    plan: Plan | None = None
    error: str | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed")


class Worker:
    """A child process that waits for a problem; it has already imported what takes long."""

    def __init__(self, command: tuple[str, ...] | None = None) -> None:
        self.child = subprocess.Popen(
            command or (sys.executable, "-m", "planner_core.search.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.child.poll() is None

    def close(self) -> None:
        """Cut the lifeline: the child cancels its search and ends."""
        try:
            _pipe(self.child.stdin).close()
        except OSError:
            return  # it has died already

    def kill(self) -> None:
        """End the process at once."""
        self.child.kill()
        self.child.wait()


class SolveProcess:
    """One search in a child process.

    Parameters
    ----------
    problem : Problem
    options : Options
    """

    def __init__(self, problem: Problem, options: Options) -> None:
        self.problem, self.options = problem, options
        self._lock = threading.Lock()
        self._known = Snapshot()
        self._worker: Worker | None = None
        self._began = 0.0
        self._stop_asked = False
        self._complaints: deque[str] = deque(maxlen=KEPT_LINES)
        self.finished = threading.Event()

    def start(self, worker: Worker) -> None:
        """Hand the problem to a worker; reader threads collect what it says."""
        with self._lock:
            if self._stop_asked:
                worker.close()
                return
            self._worker, self._began = worker, time.monotonic()
            self._known.state, self._known.phase = "running", "starting"
        for target in (self._read, self._listen):
            threading.Thread(target=target, args=(worker,), daemon=True).start()
        request = {
            "problem": problem_document(self.problem),
            "options": asdict(self.options),
        }
        try:
            stdin = _pipe(worker.child.stdin)
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
        except (OSError, ValueError):
            return  # it died or was stopped meanwhile; the reader reports it

    def stop(self) -> None:
        """Ask the search to end with its best plan so far."""
        with self._lock:
            self._stop_asked = True
            worker = self._worker
            if worker is None:
                self._known.state, self._known.error = "failed", "stopped before it began"
                self.finished.set()
                return
            if self._known.over:
                return
            self._known.state = "stopping"
        worker.close()
        timer = threading.Timer(GRACE + 2, worker.kill)
        timer.daemon = True
        timer.start()

    def snapshot(self) -> Snapshot:
        """Return a copy of what is known now."""
        with self._lock:
            known = replace(self._known, history=list(self._known.history))
            if known.state in ("running", "stopping"):
                known.elapsed = time.monotonic() - self._began
            return known

    def _read(self, worker: Worker) -> None:
        for line in _pipe(worker.child.stdout):
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue  # a line cut short by the end of the process
        worker.child.wait()
        with self._lock:
            self._end(worker.child.returncode)
        worker.close()
        self.finished.set()

    def _listen(self, worker: Worker) -> None:
        for line in _pipe(worker.child.stderr):
            self._complaints.append(line.rstrip())

    def _take(self, document: dict[str, Any]) -> None:
        event = document["event"]
        with self._lock:
            known = self._known
            if event == "progress":
                self._advance(progress_from(document))
            elif event == "plan":
                known.plan = plan_from(document, self.problem)
                known.lower_bound = known.plan.lower_bound
                if known.plan.schedule is not None:
                    known.schedule, known.incumbent = known.plan.schedule, known.plan.value
            elif event == "error":
                known.error = document["message"]

    def _advance(self, progress: Progress) -> None:
        known = self._known
        known.phase = progress.phase
        known.incumbent, known.lower_bound = progress.incumbent, progress.lower_bound
        known.found_by, known.proved_by = progress.found_by, progress.proved_by
        known.model_size = progress.model_size or known.model_size
        known.schedule = progress.schedule or known.schedule
        point = (progress.elapsed, progress.incumbent, progress.lower_bound)
        if not known.history or known.history[-1][1:] != point[1:]:
            known.history.append(point)

    def _end(self, code: int) -> None:
        """Settle what the end of the process means; nothing found so far is lost."""
        known = self._known
        known.elapsed = time.monotonic() - self._began
        if known.plan is not None:
            known.state = "done"
            return
        if known.error is None and not self._stop_asked:
            last = f": {self._complaints[-1]}" if self._complaints else ""
            known.error = f"the solver process ended unexpectedly (exit code {code}){last}"
        known.state = "done" if known.error is None else "failed"
        if known.schedule is not None:
            known.plan = Plan(
                problem=self.problem,
                status="feasible",
                schedule=known.schedule,
                value=known.incumbent,
                lower_bound=known.lower_bound,
                proved_by=known.proved_by,
                found_by=known.found_by,
                seconds=known.elapsed,
            )
        elif known.error is None:
            known.state, known.error = "failed", "stopped before a schedule was found"


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise ValueError("the worker was started without pipes")
    return stream
