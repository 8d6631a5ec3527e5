"""Choose one alternative per operator: run it whole, or split it over devices.

Every choice expands to an ordinary problem. Uniform choices (all operators in their way of one
name) are compared first; then the choices of single operators and of runs of operators that
follow each other are changed while that helps. Short assignment searches judge a choice, the
planner plans the best one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from planner_core.bounds import makespan_bound, peak_memory_bound, period_bound, transfer_bound
from planner_core.problem import InputError, Problem, check_problem
from planner_core.problem.alternatives import SplitProblem
from planner_core.schedule import Plan, proves_optimal
from planner_core.search.infeasible import why_infeasible
from planner_core.search.planner import plan, search_measure
from planner_core.search.progress import Cancellation, OnProgress, Options
from planner_core.search.state import Clock, SearchState

CHOOSING = 0.6
"""Share of the time that goes into the choice; the rest plans what was chosen."""

JUDGING = 0.03
"""Share of the choosing time one judgement may take."""

_BOUNDS = {
    "makespan": makespan_bound,
    "period": period_bound,
    "peak_memory": peak_memory_bound,
    "transfer": transfer_bound,
}

Choice = dict[str, str]

_LEAST_WORK = "least work of any alternative over devices"


@dataclass(frozen=True, eq=False, kw_only=True)
class SplitPlan:
    """A plan and the alternative it takes for every operator that has some.

    Parameters
    ----------
    plan : Plan
        Of the expanded problem. A proof about one choice is none about all: unless there is
        only one choice, the bound holds for every choice, and what is infeasible for the best
        one tried is ``unknown``.
    choice : mapping of operator id to alternative id
    """

    plan: Plan
    choice: Mapping[str, str]


def plan_split(
    split: SplitProblem,
    options: Options | None = None,
    on_progress: OnProgress | None = None,
    cancel: Cancellation | None = None,
) -> SplitPlan:
    """Choose an alternative per operator and plan the expanded problem.

    Parameters
    ----------
    split : SplitProblem
    options, on_progress, cancel
        As for :func:`planner_core.search.plan`; the time limit covers choosing and planning.

    Returns
    -------
    SplitPlan

    Raises
    ------
    InputError
        If the problem is not sound or no choice can be expanded on its cluster.
    """
    check_problem(split.problem)
    options, cancel = options or Options(), cancel or Cancellation()
    clock = Clock.start(options.time_limit)
    chooser = _Chooser(split, clock.until(CHOOSING), cancel, options.seed)
    chooser.run()
    problem = split.expand(chooser.best)
    left = replace(options, time_limit=max(0.5, 0.95 * clock.remaining))
    found = plan(problem, left, on_progress, cancel)
    if chooser.best_schedule_value < (np.inf if found.value is None else found.value):
        found = chooser.best_plan(problem, found)
    if chooser.choices > 1:
        found = _of_one_choice(found, split)
    return SplitPlan(plan=replace(found, seconds=clock.elapsed), choice=chooser.best)


def _of_one_choice(found: Plan, split: SplitProblem) -> Plan:
    """What was proved of one choice is not proved of all; a bound over all takes its place."""
    if found.status == "infeasible":
        reason = f"no choice of alternatives tried has a schedule; of the last: {found.reason}"
        return replace(found, status="unknown", reason=reason)
    timed = found.problem.objective.primary == "period"
    bound, proved_by = (split_bound(split), _LEAST_WORK) if timed else (0.0, None)
    if found.value is None:
        return replace(found, lower_bound=bound, proved_by=proved_by)
    status = "optimal" if proves_optimal(found.value, bound) else "feasible"
    least = min(bound, found.value)
    return replace(found, status=status, lower_bound=least, proved_by=proved_by)


def split_bound(split: SplitProblem) -> float:
    """Return a lower bound on the period over all choices.

    Every operator takes at least the work of its least alternative (shards × duration on the
    fastest device), and at least one of its shards runs on one device.
    """
    problem, graph = split.problem, split.problem.template
    speed, k = float(problem.cluster.speed.max()), problem.n_devices
    work = np.asarray(problem.durations).min(axis=1)
    longest = work.copy()
    for name, ways in split.alternatives.items():
        o = graph.operator_index[name]
        least = [
            min(way.duration.values())
            if isinstance(way.duration, Mapping)
            else way.duration / speed
            for way in ways
        ]
        longest[o] = min(least)
        work[o] = min(time * way.shards for time, way in zip(least, ways, strict=True))
    streams = np.bincount(graph.stream, weights=work)
    count = max(1, int(graph.micro_batch.max(initial=-1)) + 1)
    return float(max(streams.max() / k, longest.max())) / count


class _Chooser:
    """Local search over choices."""

    def __init__(self, split: SplitProblem, clock: Clock, cancel: Cancellation, seed: int) -> None:
        self.split, self.clock, self.cancel = split, clock, cancel
        self.seconds = max(0.3, JUDGING * clock.remaining)
        self.random = np.random.default_rng(seed)
        self.ways = {name: [way.id for way in row] for name, row in split.alternatives.items()}
        self.best: Choice = {name: row[0] for name, row in self.ways.items()}
        self.value, self.known = np.inf, set[tuple[str, ...]]()
        self.state: SearchState | None = None

    @property
    def choices(self) -> float:
        """Number of choices there are."""
        return float(np.prod([float(len(row)) for row in self.ways.values()]))

    @property
    def best_schedule_value(self) -> float:
        """Value of the best choice's schedule so far; inf without one."""
        return self.value

    def best_plan(self, problem: Problem, found: Plan) -> Plan:
        """Return the judged schedule as a plan, where planning it again found none as good."""
        assert self.state is not None
        return replace(
            self.state.plan(),
            problem=problem,
            lower_bound=found.lower_bound,
            proved_by=found.proved_by,
        )

    def run(self) -> None:
        """Improve the choice until the time is up or every neighbour has been tried."""
        for choice in self._uniform():
            if self._over():
                return
            self._judge(choice)
        while not self._over() and len(self.known) < self.choices:
            near = self._neighbour()
            if near is not None:
                self._judge(near)

    def _over(self) -> bool:
        return self.cancel.is_set() or self.clock.remaining <= 0

    def _uniform(self) -> Iterator[Choice]:
        """Choices in which every operator that has the alternative takes it."""
        yield dict(self.best)
        for way in dict.fromkeys(way for row in self.ways.values() for way in row):
            yield {name: way if way in row else row[0] for name, row in self.ways.items()}

    def _neighbour(self) -> Choice | None:
        """Change one operator, or a run of operators in the order they are listed."""
        names = list(self.ways)
        for _ in range(200):
            first = int(self.random.integers(len(names)))
            length = 1 if self.random.random() < 0.5 else int(self.random.integers(2, 9))
            row = self.ways[names[first]]
            way = row[int(self.random.integers(len(row)))]
            choice = dict(self.best)
            for name in names[first : first + length]:
                if way in self.ways[name]:
                    choice[name] = way
            if tuple(choice.values()) not in self.known:
                return choice
        return None

    def _judge(self, choice: Choice) -> None:
        """Search the expanded problem for a moment; keep the choice if it is better."""
        key = tuple(choice.values())
        if key in self.known:
            return
        self.known.add(key)
        try:
            problem = self.split.expand(choice)
        except InputError:
            return  # more shards than devices
        name = problem.objective.primary
        if why_infeasible(problem) is not None or _BOUNDS[name](problem).value >= self.value:
            return
        now = time.monotonic()
        clock = Clock(now, min(self.clock.deadline, now + self.seconds))
        state = SearchState(problem, name, clock, self.cancel)
        search_measure(state)
        if state.schedule is not None and state.value < self.value:
            self.best, self.value, self.state = choice, state.value, state
