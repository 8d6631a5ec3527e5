"""Local search over many choices of alternatives, beside a proof over all of them.

Uniform choices (all operators in their way of one name) are compared first, and those in which a
few of the heaviest operators are split; then the choices of single operators and of runs of
operators that follow each other are changed while that helps, and an assignment MIP over all
choices proposes some and proves. Every choice gets a glance: the list schedules of its problem,
or a moment of annealing where the assignment decides. What is promising at a glance is searched
for longer, and the planner plans the best choice with the time that is left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np

from planner_core.baselines.list_scheduling import list_schedules
from planner_core.bounds import Bound
from planner_core.bounds.alternatives import measure_bound, split_bound
from planner_core.problem import InputError, Problem
from planner_core.problem.alternatives import Alternative, SplitProblem
from planner_core.schedule import Plan, proves_optimal
from planner_core.search.choices import (
    BestOfChoices,
    Choice,
    Found,
    all_choices,
    count_choices,
    uniform_choices,
    whole_choice,
)
from planner_core.search.every_choice import EveryChoice
from planner_core.search.infeasible import why_infeasible
from planner_core.search.planner import plan, search_measure
from planner_core.search.progress import Cancellation, Options
from planner_core.search.split_proof import SplitProof
from planner_core.search.state import Clock, SearchState

CHOOSING = 0.6
"""Share of the time that goes into the choice; the rest plans what was chosen."""

GLANCE, JUDGING = 0.01, 0.04
"""Shares of the choosing time that a first look at a choice and a longer one may take."""

LISTED = 5_000
"""Up to so many choices every one is looked at, so that their bounds are a proof."""

SHORTEST = 0.3
"""Seconds of a search for one choice, at least."""

PROMISING = 1.02
"""A choice is searched for longer if it looks no more than so much worse than the best."""

HEAVY = 0.8
"""Operators at least so heavy, as a share of the heaviest, are split first."""


def search_choices(
    split: SplitProblem,
    options: Options,
    clock: Clock,
    best: BestOfChoices,
    cancel: Cancellation,
) -> tuple[Plan, Choice]:
    """Search over choices beside a proof over all of them, then plan the best one.

    Parameters
    ----------
    split : SplitProblem
    options : Options
    clock : Clock
    best : BestOfChoices
        Takes what is found.
    cancel : threading.Event

    Returns
    -------
    plan : Plan
        Its bound and status are those over all choices.
    choice : mapping of operator id to alternative id
    """
    chooser = ChoiceSearch(split, options, clock.until(CHOOSING), best, cancel)
    bound = split_bound(split)
    best.raise_bound(bound.value, bound.name)
    with SplitProof(split, bound, clock, cancel, chooser) as proof:
        chooser.bound = lambda: proof.value
        while True:
            chooser.run()
            if chooser.complete and not proves_optimal(best.value, proof.value):
                found, choice = _plan_open(chooser, options, clock)
                break
            found, choice = _plan_best(chooser, options, clock)
            if chooser.over_at(clock) or clock.remaining < SHORTEST:
                proof.wait(lambda: proves_optimal(best.value, proof.value))
                break
            chooser.clock = clock.until(CHOOSING)  # planned sooner than expected: choose on
    proved = Bound(proof.value, proof.name)
    if chooser.complete and found.lower_bound is not None:
        # Choices that were not planned have no schedule better than the best one.
        open_ = Bound(
            min(found.lower_bound, best.value), found.proved_by or "bounds of all choices"
        )
        proved = max(proved, open_, key=lambda row: row.value)
    return _of_all(found, proved), choice


def _plan_best(chooser: ChoiceSearch, options: Options, clock: Clock) -> tuple[Plan, Choice]:
    """Plan the choice that splits nothing, if it may be better, and then the best choice.

    Judging is short, and no plan should be worse than one without splitting.
    """
    whole = whole_choice(chooser.split)
    if whole != chooser.best and not chooser.over_at(clock):
        _plan_choice(chooser, whole, options, 0.5 * clock.remaining)
    seconds = SHORTEST if chooser.over_at(clock) else max(SHORTEST, 0.95 * clock.remaining)
    best = chooser.best if chooser.told.found is None else chooser.told.found.choice
    return _plan_choice(chooser, best, options, seconds), best


def _plan_choice(chooser: ChoiceSearch, choice: Choice, options: Options, seconds: float) -> Plan:
    """Plan a choice; one that is proved already is not planned again."""
    key = tuple(choice[name] for name in chooser.ways)
    if key not in chooser.proved:
        problem = chooser.split.expand(choice)
        left = replace(options, time_limit=max(SHORTEST, seconds))
        found = plan(problem, left, chooser.told.relay(choice, problem), chooser.cancel)
        if found.status not in ("optimal", "infeasible"):
            return found
        chooser.proved[key] = found
    return chooser.proved[key]


def _plan_open(chooser: ChoiceSearch, options: Options, clock: Clock) -> tuple[Plan, Choice]:
    """Plan all choices that may be better than the best one; the bound is over all choices."""
    told, split = chooser.told, chooser.split
    open_ = [choice for choice, least in chooser.looked_at if least < told.value]
    if not open_:
        found = Plan(problem=split.problem, status="unknown", lower_bound=told.value)
        return replace(found, proved_by="bounds of all choices"), chooser.best
    found, choice = EveryChoice(split, options, clock, told, chooser.cancel, open_).run()
    if found.status == "infeasible":
        found = replace(found, status="unknown", reason=None, lower_bound=told.value)
    return found, choice


def _of_all(found: Plan, bound: Bound) -> Plan:
    """What was proved of one choice is not proved of all; the bound over all takes its place."""
    if found.status == "infeasible":
        reason = f"no choice of alternatives tried has a schedule; of the last: {found.reason}"
        return replace(found, status="unknown", reason=reason)
    if found.value is None:
        return replace(found, lower_bound=bound.value, proved_by=bound.name)
    one = len(found.problem.objective.minimize) == 1
    status = "optimal" if one and proves_optimal(found.value, bound.value) else "feasible"
    least = min(bound.value, found.value)
    return replace(found, status=status, lower_bound=least, proved_by=bound.name)


class ChoiceSearch:
    """Local search over choices.

    Parameters
    ----------
    split : SplitProblem
    options : Options
    clock : Clock
        For choosing.
    told : BestOfChoices
        Takes the schedules found on the way.
    cancel : threading.Event
    """

    def __init__(
        self,
        split: SplitProblem,
        options: Options,
        clock: Clock,
        told: BestOfChoices,
        cancel: Cancellation,
    ) -> None:
        self.split, self.options, self.clock = split, options, clock
        self.told, self.cancel = told, cancel
        self.glance = max(SHORTEST, GLANCE * clock.remaining)
        self.judging = max(SHORTEST, JUDGING * clock.remaining)
        self.random = np.random.default_rng(options.seed)
        self.ways = {name: [way.id for way in row] for name, row in split.alternatives.items()}
        self.best: Choice = whole_choice(split) if told.found is None else told.found.choice
        self.known = set[tuple[str, ...]]()
        self.looked_at: list[tuple[Choice, float]] = []
        """Choices that could be expanded, with a bound on what each can reach."""
        self.proved: dict[tuple[str, ...], Plan] = {}
        """Choices that were planned to the optimum, or have no schedule."""
        self.bound = lambda: 0.0
        """Proved over all choices so far."""
        self._proposed: list[Choice] = []
        self._lock = threading.Lock()

    @property
    def value(self) -> float:
        """Best value found so far; inf without one."""
        return self.told.value

    def propose(self, choice: Choice) -> None:
        """Have a choice judged next; called from other threads."""
        with self._lock:
            self._proposed.append(choice)

    def run(self) -> None:
        """Improve the choice until the time is up or every neighbour has been tried."""
        for choice in chain(uniform_choices(self.split), self._few_split()):
            if self.over():
                return
            self._judge(choice)
        while not (self.over() or self.complete):
            near = self._next_proposed() or self._neighbour()
            if near is None and count_choices(self.split) <= LISTED:
                break
            self._judge(near or self._shaken())
        for choice in () if self.complete else all_choices(self.split):
            if self.over():
                return
            self._judge(choice)

    @property
    def complete(self) -> bool:
        """Whether every choice has been looked at."""
        return len(self.known) >= count_choices(self.split)

    def _next_proposed(self) -> Choice | None:
        with self._lock:
            if not self._proposed:
                return None
            newest = self._proposed.pop()
            self._proposed.clear()  # older ones are worse
        return {name: newest.get(name, own) for name, own in self.best.items()}

    def over(self) -> bool:
        """Whether the best is proved, the time for choosing is up or the user has cancelled."""
        return self.over_at(self.clock)

    def over_at(self, clock: Clock) -> bool:
        """Whether the best is proved, the time of a clock is up or the user has cancelled."""
        proved = proves_optimal(self.value, self.bound())
        return proved or self.cancel.is_set() or clock.remaining <= 0

    def _few_split(self) -> Iterator[Choice]:
        """Choices in which a few of the heaviest operators are split, those that cost least first.

        Where operators are as heavy as a device's share of the work, splitting some of them
        evens out the rest. They are spread over the graph, so that every device can take a part
        beside whole operators.
        """
        graph = self.split.problem.template
        whole = whole_choice(self.split)
        work = {
            name: {way.id: self._work(name, way) for way in row}
            for name, row in self.split.alternatives.items()
        }
        order = {str(graph.operator_ids[o]): n for n, o in enumerate(graph.topological_order)}
        heaviest = max(work[name][whole[name]] for name in self.ways)
        heavy = [n for n in self.ways if work[n][whole[n]] >= HEAVY * heaviest]
        heavy.sort(key=order.__getitem__)
        ways = {way for name in heavy for way in self.ways[name]}
        cost = {way: np.mean([work[n].get(way, np.inf) for n in heavy]) for way in ways}
        for way in sorted(ways, key=lambda way: (cost[way], way)):
            for count in range(1, min(len(heavy), 2 * self.split.problem.n_devices) + 1):
                spread = np.linspace(0, len(heavy), count, endpoint=False) + len(heavy) / count / 2
                few = [heavy[i] for i in spread.astype(int)]
                yield whole | {name: way for name in few if way in self.ways[name]}

    def _work(self, name: str, way: Alternative) -> float:
        """Return the least time that all shards of an operator take together."""
        o = self.split.problem.template.operator_index[name]
        return way.shards * float(self.split.durations(o, way).min())

    def _neighbour(self) -> Choice | None:
        """Change an operator, a run of operators in the order they are listed, or swap two."""
        names = list(self.ways)
        for _ in range(200):
            first, other = self.random.integers(len(names), size=2).tolist()
            choice, kind = dict(self.best), self.random.random()
            if kind < 0.4:
                a, b = names[first], names[other]
                if choice[a] == choice[b] or choice[a] not in self.ways[b]:
                    continue
                choice[b] = self.best[a]
                choice[a] = self.best[b] if self.best[b] in self.ways[a] else choice[a]
            else:
                length = 1 if kind < 0.7 else int(self.random.integers(2, 9))
                row = self.ways[names[first]]
                way = row[int(self.random.integers(len(row)))]
                for name in names[first : first + length]:
                    if way in self.ways[name]:
                        choice[name] = way
            if tuple(choice.values()) not in self.known:
                return choice
        return None

    def _shaken(self) -> Choice:
        """Change a few operators of the best choice at once, however that turns out."""
        names = list(self.ways)
        choice = dict(self.best)
        for i in self.random.integers(len(names), size=int(self.random.integers(2, 6))).tolist():
            choice[names[i]] = str(self.random.choice(self.ways[names[i]]))
        return choice

    def _judge(self, choice: Choice) -> None:
        """Look at a choice, longer if it is promising; keep it if it is better."""
        key = tuple(choice[name] for name in self.ways)
        if key in self.known:
            return
        self.known.add(key)
        try:
            problem = self.split.expand(choice)
        except InputError:
            return  # more shards than devices
        if why_infeasible(problem) is not None:
            return
        least = measure_bound(problem).value
        self.looked_at.append((choice, least))
        if least >= self.value:
            return
        before = self.value
        seen = self._glance_at(choice, problem)
        if seen <= PROMISING * before:
            self._search(choice, problem, self.judging)
        if self.told.found is not None and self.value < before:
            self.best = dict(self.told.found.choice)

    def _glance_at(self, choice: Choice, problem: Problem) -> float:
        """Value of the best schedule that is found at once; inf without one."""
        if problem.objective.primary != "makespan":
            return self._search(choice, problem, self.glance)
        seen = np.inf
        for name, schedule in list_schedules(problem):
            seen = min(seen, schedule.makespan)
            self.told.offer(Found(choice, problem, schedule, name), "choice of alternatives")
        return seen

    def _search(self, choice: Choice, problem: Problem, seconds: float) -> float:
        """Search a choice's problem for some seconds; return its best value."""
        now = time.monotonic()
        state = SearchState(
            problem,
            problem.objective.primary,
            Clock(now, min(self.clock.deadline, now + seconds)),
            self.cancel,
            options=self.options,
        )
        search_measure(state)
        if state.schedule is not None:
            found = Found(choice, problem, state.schedule, state.found_by or "search")
            self.told.offer(found, "choice of alternatives")
        return state.value
