"""A search for a command: progress on a line, Ctrl-C, and a time limit that holds."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from planner_core.problem import Problem
    from planner_core.problem.alternatives import SplitProblem
    from planner_core.schedule import Plan
    from planner_core.search.progress import Cancellation, OnProgress, Options, Progress

EXIT_INTERRUPTED = 130

GRACE = 0.05
"""Share of the time limit a search may overrun before the best it told of is taken."""

FIRST_SCHEDULE = 5.0
"""Seconds it may overrun while it has told of no schedule: imports alone may take some."""


def timed_search(
    args: argparse.Namespace, problem: Problem, split: SplitProblem | None = None
) -> Plan:
    """Search in a thread, so that this one can draw progress, answer Ctrl-C and keep the time.

    Parameters
    ----------
    args : Namespace
        With ``started`` (on ``time.monotonic()``), ``time_limit`` and the options of a search.
    problem : Problem
    split : SplitProblem, optional
        The problem with its alternatives, where it has some.

    Returns
    -------
    Plan
        What the search came to, or the best it told of if it did not come back in time.
    """
    from planner_core.console import ProgressLine, wait_for
    from planner_core.search.compiled import COMPILING
    from planner_core.search.progress import Cancellation, Options

    left = args.time_limit - (time.monotonic() - args.started)
    line, cancel = ProgressLine(left), Cancellation()
    events: list[Progress] = []
    answer: list[Plan] = []
    fault: list[BaseException] = []

    def tell(event: Progress) -> None:
        events.append(event)
        line(event)

    options = Options(
        time_limit=max(left, 0.01),
        seed=args.seed,
        merging=args.merging,
        merging_cap=args.merging_cap,
    )

    def work() -> None:
        try:
            answer.append(_plan(problem, split, options, tell, cancel))
        except BaseException as error:
            fault.append(error)

    with _stop_on_interrupt(cancel):
        thread = threading.Thread(target=work, name="search", daemon=True)
        thread.start()
        late = args.started + args.time_limit * (1 + GRACE)
        ended = False
        while not ended and time.monotonic() < late:
            now = time.monotonic()
            ended = wait_for(thread, line.redraw, min(late, now + 0.1))
            if events and events[-1].phase == COMPILING:
                late += time.monotonic() - now
        begun = time.monotonic()
        while not (ended or _decided(events)) and time.monotonic() < begun + FIRST_SCHEDULE:
            ended = wait_for(thread, line.redraw, time.monotonic() + 0.1)
    line.close()
    if fault:
        raise fault[0]
    if not ended:
        cancel.set()
    result = answer[0] if answer else _best_announced(problem, events)
    return replace(result, seconds=time.monotonic() - args.started)


def _plan(
    problem: Problem,
    split: SplitProblem | None,
    options: Options,
    tell: OnProgress,
    cancel: Cancellation,
) -> Plan:
    from planner_core import search

    if split is None:
        return search.plan(problem, options, on_progress=tell, cancel=cancel)
    from planner_core.search.alternatives import plan_split

    return plan_split(split, options, tell, cancel).plan


def _decided(events: Sequence[Progress]) -> bool:
    """Whether a schedule has been told of, or that there is none."""
    return any(e.schedule is not None or e.lower_bound == float("inf") for e in events)


def _best_announced(problem: Problem, events: Sequence[Progress]) -> Plan:
    """Return the best plan a search told of that did not come back in time.

    A solver that is deep inside one step cannot always be stopped; the time limit holds all the
    same.
    """
    from planner_core.schedule import Plan, measure, proves_optimal, validate

    bounds = [(e.lower_bound, e.proved_by) for e in events if e.lower_bound is not None]
    bound, proved_by = max(bounds, default=(None, None), key=lambda pair: pair[0])
    for event in reversed(events):  # the newest are the best; take nothing on trust
        planned, schedule = event.problem or problem, event.schedule
        if schedule is None or validate(planned, schedule):
            continue
        value = measure(problem.objective.primary, planned, schedule)
        return Plan(
            problem=planned,
            status="optimal" if bound is not None and proves_optimal(value, bound) else "feasible",
            schedule=schedule,
            value=value,
            lower_bound=bound,
            proved_by=proved_by,
            found_by=event.found_by,
        )
    if bound == float("inf"):
        # The proof came in time, only the search for a limit that works did not.
        return Plan(problem=problem, status="infeasible", reason=events[-1].proved_by)
    return Plan(problem=problem, status="unknown", lower_bound=bound, proved_by=proved_by)


@contextmanager
def _stop_on_interrupt(cancel: threading.Event) -> Iterator[None]:
    """First Ctrl-C: stop and keep the best so far. Second: leave at once."""

    def answer(signum: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            # The search may be deep inside the solver, which an exception would not reach.
            os._exit(EXIT_INTERRUPTED)
        cancel.set()
        print("\nstopping; the best plan so far is kept", file=sys.stderr, flush=True)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, answer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
