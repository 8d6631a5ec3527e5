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
from planner_core.bounds.alternatives import measure_bound, split_bound
from planner_core.problem import InputError, Problem
from planner_core.problem.alternatives import Alternative, SplitProblem
from planner_core.schedule import Plan, proves_optimal
from planner_core.search.choices import (
    BestOfChoices,
    Choice,
    Found,
    count_choices,
    uniform_choices,
    whole_choice,
)
from planner_core.search.infeasible import why_infeasible
from planner_core.search.planner import plan, search_measure
from planner_core.search.progress import Cancellation, Options
from planner_core.search.split_proof import SplitProof
from planner_core.search.state import Clock, SearchState

CHOOSING = 0.8
"""Share of the time that goes into the choice; the rest plans what was chosen."""

GLANCE, JUDGING = 0.01, 0.04
"""Shares of the choosing time that a first look at a choice and a longer one may take."""

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
        chooser.run()
        choice = chooser.best
        problem = split.expand(choice)
        left = replace(options, time_limit=max(0.5, 0.95 * clock.remaining))
        if proves_optimal(best.value, proof.value) or cancel.is_set():
            left = replace(left, time_limit=0.5)
        found = plan(problem, left, best.relay(choice, problem), cancel)
        proof.wait(lambda: proves_optimal(best.value, proof.value))
    return _of_all(found, proof), choice


def _of_all(found: Plan, proof: SplitProof) -> Plan:
    """What was proved of one choice is not proved of all; the bound over all takes its place."""
    if found.status == "infeasible":
        reason = f"no choice of alternatives tried has a schedule; of the last: {found.reason}"
        return replace(found, status="unknown", reason=reason)
    bound, proved_by = proof.value, proof.name
    if found.value is None:
        return replace(found, lower_bound=bound, proved_by=proved_by)
    one = len(found.problem.objective.minimize) == 1
    status = "optimal" if one and proves_optimal(found.value, bound) else "feasible"
    least = min(bound, found.value)
    return replace(found, status=status, lower_bound=least, proved_by=proved_by)


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
        for number, choice in enumerate(chain(uniform_choices(self.split), self._few_split())):
            if self._over():
                return
            self._judge(choice, thoroughly=number == 0)
        while not self._over() and len(self.known) < count_choices(self.split):
            near = self._next_proposed() or self._neighbour()
            if near is None:
                return
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

    def _few_split(self) -> Iterator[Choice]:
        """Choices in which a few of the heaviest operators are split, those that cost least first.

        Where operators are as heavy as a device's share of the work, splitting some of them
        evens out the rest. Either they are spread over the graph, so that every device can take
        a part beside whole operators, or they follow each other and exchange least with others.
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
                for places in (spread.astype(int), range(len(heavy) - count, len(heavy))):
                    few = [heavy[i] for i in places]
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

    def _judge(self, choice: Choice, *, thoroughly: bool = False) -> None:
        """Look at a choice, longer if it is promising; keep it if it is better."""
        key = tuple(choice[name] for name in self.ways)
        if key in self.known:
            return
        self.known.add(key)
        try:
            problem = self.split.expand(choice)
        except InputError:
            return  # more shards than devices
        if why_infeasible(problem) is not None or measure_bound(problem).value >= self.value:
            return
        before = self.value
        seen = self._glance_at(choice, problem)
        if thoroughly or seen <= PROMISING * before:
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
