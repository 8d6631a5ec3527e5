"""Choose one alternative per operator: run it whole, or split it over devices.

Every choice expands to an ordinary problem. Where there are few choices all are planned, the
most promising first, until a bound rules out the rest. Where there are many, uniform choices (all
operators in their way of one name) are compared first; then the choices of single operators and
of runs of operators that follow each other are changed while that helps, and an assignment MIP
over all choices proposes some and proves. Short assignment searches judge a choice, the planner
plans the best one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from planner_core.bounds.alternatives import measure_bound, split_bound
from planner_core.problem import InputError, Problem, check_problem
from planner_core.problem.alternatives import SplitProblem
from planner_core.schedule import Plan, proves_optimal
from planner_core.search.every_choice import Choice, EveryChoice
from planner_core.search.infeasible import why_infeasible
from planner_core.search.planner import plan, search_measure
from planner_core.search.progress import Cancellation, OnProgress, Options
from planner_core.search.split_proof import SplitProof
from planner_core.search.state import Clock, SearchState

CHOOSING = 0.8
"""Share of the time that goes into the choice; the rest plans what was chosen."""

JUDGING = 0.03
"""Share of the choosing time one judgement may take."""

HEAVY = 0.8
"""Operators at least so heavy, as a share of the heaviest, are split first."""

FEW_CHOICES = 200
"""Up to so many choices all are planned."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SplitPlan:
    """A plan and the alternative it takes for every operator that has some.

    Parameters
    ----------
    plan : Plan
        Of the expanded problem; bound and status hold for all choices together, not for the one
        chosen only.
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
    count = float(np.prod([float(len(row)) for row in split.alternatives.values()]))
    if count <= FEW_CHOICES:
        found, choice = EveryChoice(split, options, clock, on_progress, cancel).run()
    else:
        found, choice = _search(split, options, clock, on_progress, cancel)
    return SplitPlan(plan=replace(found, seconds=clock.elapsed), choice=choice)


def _search(
    split: SplitProblem,
    options: Options,
    clock: Clock,
    on_progress: OnProgress | None,
    cancel: Cancellation,
) -> tuple[Plan, Choice]:
    """Search over choices beside a proof over all of them, then plan the best one."""
    chooser = _Chooser(split, clock.until(CHOOSING), cancel, options.seed)
    with SplitProof(split, split_bound(split), clock, cancel, chooser) as proof:
        chooser.bound = lambda: proof.value
        chooser.run()
        problem = split.expand(chooser.best)
        left = replace(options, time_limit=max(0.5, 0.95 * clock.remaining))
        found = plan(problem, left, on_progress, cancel)
    if chooser.value < (np.inf if found.value is None else found.value):
        found = chooser.best_plan(problem, found)
    return _of_all(found, proof), chooser.best


def _of_all(found: Plan, proof: SplitProof) -> Plan:
    """What was proved of one choice is not proved of all; the bound over all takes its place."""
    if found.status == "infeasible":
        reason = f"no choice of alternatives tried has a schedule; of the last: {found.reason}"
        return replace(found, status="unknown", reason=reason)
    bound, proved_by = proof.value, proof.name
    if found.value is None:
        return replace(found, lower_bound=bound, proved_by=proved_by)
    status = "optimal" if proves_optimal(found.value, bound) else "feasible"
    least = min(bound, found.value)
    return replace(found, status=status, lower_bound=least, proved_by=proved_by)


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
        self.bound = lambda: 0.0
        """Proved over all choices so far."""
        self._proposed: list[Choice] = []
        self._lock = threading.Lock()

    def propose(self, choice: Choice) -> None:
        """Have a choice judged next; called from other threads."""
        with self._lock:
            self._proposed.append(choice)

    @property
    def choices(self) -> float:
        """Number of choices there are."""
        return float(np.prod([float(len(row)) for row in self.ways.values()]))

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
        for choice in chain(self._uniform(), self._few_split()):
            if self._over():
                return
            self._judge(choice)
        while not self._over() and len(self.known) < self.choices:
            near = self._next_proposed() or self._neighbour()
            if near is not None:
                self._judge(near)

    def _next_proposed(self) -> Choice | None:
        with self._lock:
            if not self._proposed:
                return None
            newest = self._proposed.pop()
            self._proposed.clear()  # older ones are worse
        return {name: newest.get(name, own) for name, own in self.best.items()}

    def _over(self) -> bool:
        proved = proves_optimal(self.value, self.bound())
        return proved or self.cancel.is_set() or self.clock.remaining <= 0

    def _uniform(self) -> Iterator[Choice]:
        """Choices in which every operator that has the alternative takes it."""
        yield dict(self.best)
        for way in dict.fromkeys(way for row in self.ways.values() for way in row):
            yield {name: way if way in row else row[0] for name, row in self.ways.items()}

    def _few_split(self) -> Iterator[Choice]:
        """Choices in which a few of the heaviest operators are done otherwise.

        Where operators are as heavy as a device's share of the work, splitting some of them
        evens out the rest; those that follow each other exchange least with the others.
        """
        graph = self.split.problem.template
        time = np.asarray(self.split.problem.durations).min(axis=1)
        weight = {name: float(time[graph.operator_index[name]]) for name in self.ways}
        heaviest = max(weight.values())
        heavy = [name for name in self.ways if weight[name] >= HEAVY * heaviest]
        ways = list(dict.fromkeys(way for name in heavy for way in self.ways[name]))
        for count in range(1, min(len(heavy), 2 * self.split.problem.n_devices) + 1):
            for way in ways:
                few = {name: way for name in heavy[-count:] if way in self.ways[name]}
                yield {name: row[0] for name, row in self.ways.items()} | few

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
        if why_infeasible(problem) is not None or measure_bound(problem).value >= self.value:
            return
        now = time.monotonic()
        clock = Clock(now, min(self.clock.deadline, now + self.seconds))
        state = SearchState(problem, name, clock, self.cancel)
        search_measure(state)
        if state.schedule is not None and state.value < self.value:
            self.best, self.value, self.state = choice, state.value, state
