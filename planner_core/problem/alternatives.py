"""Alternatives of an operator: run it on one device, or split it over several (tensor parallel).

A :class:`SplitProblem` is a problem whose operators may be done in several ways. Choosing one
way for each gives an ordinary problem, on which everything else works: see
:meth:`SplitProblem.expand`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from planner_core.problem.checks import check_problem
from planner_core.problem.errors import InputError
from planner_core.problem.expansion import Expansion, held_sizes
from planner_core.problem.graph import FloatArray
from planner_core.problem.problem import Problem

_NONE: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """One way of doing an operator.

    Parameters
    ----------
    id : str
        Operators that share parameter groups or colocation should use the same ids for the same
        ways: shards of equal id share the shards of the weights.
    duration : float or mapping of device type to float
        Of every shard.
    shards : int
        Devices the operator is split over; 1 = not split.
    workspace : float
        Of every shard.
    parameters : mapping of parameter group to float
        Size a shard holds; groups not named are divided by ``shards``.
    tensors : mapping of tensor to float
        Size of a produced tensor on every shard; default the whole (each shard has a copy).
    collective : float
        Time of the exchange between the shards that completes the result (all-reduce, on the
        network stream); 0 = none.
    gather : mapping of tensor to float
        Transfer time added to a consumed or produced tensor with a fixed transfer time when it
        comes from or goes to operators split otherwise or placed elsewhere (scatter, gather).
    """

    id: str
    duration: float | Mapping[str, float]
    shards: int = 1
    workspace: float = 0.0
    parameters: Mapping[str, float] = field(default_factory=lambda: _NONE)
    tensors: Mapping[str, float] = field(default_factory=lambda: _NONE)
    collective: float = 0.0
    gather: Mapping[str, float] = field(default_factory=lambda: _NONE)

    @property
    def exchanges(self) -> bool:
        """Whether an exchange between the shards completes the result."""
        return self.shards > 1 and self.collective > 0

    @property
    def exchange_stream(self) -> str:
        """Stream the exchange runs on."""
        return "network"


@dataclass(frozen=True, kw_only=True)
class _Least(Alternative):
    """What no way of an operator goes below; with an exchange if some way has one.

    Ways that are fast exchange more. Where some way needs no exchange, its place is taken by
    what even the best way adds to the least duration before the result is complete, on a stream
    of its own (``waiting``), since it keeps no stream of every choice busy.
    """

    exchanged: bool = False
    waiting: str = ""

    @property
    def exchange_stream(self) -> str:
        return self.waiting or super().exchange_stream

    @property
    def exchanges(self) -> bool:
        return self.exchanged


@dataclass(frozen=True, eq=False, kw_only=True)
class SplitProblem:
    """A problem some of whose operators may be done in several ways.

    Parameters
    ----------
    problem : Problem
        Every operator as it is when nothing is chosen.
    alternatives : mapping of operator id to sequence of Alternative
        Operators not named have one way, the problem's own.

    Raises
    ------
    InputError
        If an alternative names an operator, parameter group or tensor that does not fit it.
    """

    problem: Problem
    alternatives: Mapping[str, Sequence[Alternative]]

    def __post_init__(self) -> None:
        graph = self.problem.template
        touching: dict[str, set[str]] = {name: set() for name in self.alternatives}
        for t in range(graph.n_tensors):
            for o in (graph.producer[t], *graph.consumers_of(t)):
                if str(graph.operator_ids[o]) in touching:
                    touching[str(graph.operator_ids[o])].add(str(graph.tensor_ids[t]))
        for name, ways in self.alternatives.items():
            if name not in graph.operator_index:
                raise InputError(
                    f"alternatives are given for operator '{name}', which does not exist"
                )
            if not ways:
                raise InputError(f"operator '{name}' has an empty list of alternatives; give one")
            if len({way.id for way in ways}) < len(ways):
                raise InputError(f"two alternatives of operator '{name}' have the same id")
            groups = set(graph.group_ids[graph.groups_of(graph.operator_index[name])].tolist())
            for way in ways:
                _check_way(self.problem, name, way, groups, touching[name])

    def ways(self, operator: int) -> Sequence[Alternative]:
        """Return the ways of one operator of the template that the cluster has devices for.

        An operator without alternatives has one way, with its own durations, sizes and no id.
        """
        graph = self.problem.template
        own = self.alternatives.get(str(graph.operator_ids[operator]))
        if own is not None:
            return [way for way in own if way.shards <= self.problem.n_devices]
        duration: float | dict[str, float] = float(graph.duration[operator])
        if np.isnan(graph.duration[operator]):
            row = graph.duration_by_type[operator].tolist()
            duration = {
                kind: time
                for kind, time in zip(graph.type_names, row, strict=True)
                if not np.isnan(time)
            }
        return [Alternative(id="", duration=duration, workspace=float(graph.workspace[operator]))]

    def durations(self, operator: int, way: Alternative) -> FloatArray:
        """Return the time of a shard on each device, inf where it may not run; shape (K,)."""
        graph, cluster = self.problem.template, self.problem.cluster
        if isinstance(way.duration, Mapping):
            given = way.duration
            times = [given.get(kind, np.inf) if kind else np.inf for kind in cluster.device_types]
        else:
            times = [way.duration / speed for speed in cluster.speed.tolist()]
        allowed = np.ones(self.problem.n_devices, dtype=bool)
        if graph.device_set[operator] >= 0:
            names = graph.device_sets[graph.device_set[operator]]
            allowed = np.array([name in names for name in cluster.device_ids])
        return np.where(allowed, times, np.inf)

    def least(self) -> Problem:
        """Return a problem no choice is better than: its bounds hold for every choice.

        Every operator runs once, in the least of its ways' times on each device, with the least
        of their sizes: what the first shards of any choice do is a schedule of it, too. Its
        result is complete no earlier than duration and exchange of some way together take.
        """
        problem = self.problem
        graph, ids = problem.template, problem.cluster.device_ids
        ways = [self.ways(o) for o in range(graph.n_operators)]
        held: dict[str, float] = {}
        for o, row in enumerate(ways):
            for way in row:
                for (group, _), size in held_sizes(graph, o, way).items():
                    held[group] = min(held.get(group, size), size)
        chosen = {
            str(graph.operator_ids[o]): self._least(o, row, held) for o, row in enumerate(ways)
        }
        # Times differ from device to device, so every device is a type of its own.
        cluster = replace(problem.cluster, device_types=ids)
        return replace(problem, template=Expansion(problem, chosen).graph(), cluster=cluster)

    def _least(self, o: int, ways: Sequence[Alternative], held: Mapping[str, float]) -> _Least:
        graph = self.problem.template
        if not ways:
            raise InputError(
                f"every alternative of operator '{graph.operator_ids[o]}' needs more devices than "
                f"the cluster has ({self.problem.n_devices})"
            )
        times = np.min([self.durations(o, way) for way in ways], axis=0).tolist()
        names = zip(self.problem.cluster.device_ids, times, strict=True)
        ptr, made = graph.tensors_of
        tensors = {
            str(graph.tensor_ids[t]): min(
                way.tensors.get(str(graph.tensor_ids[t]), float(graph.size[t])) for way in ways
            )
            for t in made[ptr[o] : ptr[o + 1]].tolist()
        }
        groups = graph.group_ids[graph.groups_of(o)].tolist()
        exchange = min(way.collective if way.exchanges else 0.0 for way in ways)
        return _Least(
            id="least",
            duration={name: time for name, time in names if np.isfinite(time)},
            workspace=min(way.workspace for way in ways),
            parameters={str(group): held[str(group)] for group in groups},
            tensors=tensors,
            collective=exchange or self._delay(o, ways),
            exchanged=any(way.exchanges for way in ways),
            waiting="" if exchange else f"completion of {graph.operator_ids[o]}",
        )

    def _delay(self, o: int, ways: Sequence[Alternative]) -> float:
        """Time from the least duration to the earliest complete result, at speed 1."""
        if self.problem.micro_batches > 1:
            return 0.0  # delays of one operator in several micro-batches might overlap
        times = np.array([self.durations(o, way) for way in ways])
        exchanges = np.array([way.collective if way.exchanges else 0.0 for way in ways])
        speed = self.problem.cluster.speed
        allowed = np.isfinite(times.min(axis=0))
        # An exchange takes longer on a slow device, as any operator does.
        complete = (times + exchanges[:, None] / speed).min(axis=0)[allowed]
        later = (complete - times.min(axis=0)[allowed]) * speed[allowed]
        return float(later.min(initial=np.inf)) if allowed.any() else 0.0

    def expand(self, choice: Mapping[str, str]) -> Problem:
        """Return the problem in which every operator is done in the chosen way.

        Parameters
        ----------
        choice : mapping of operator id to alternative id
            Operators not named stay as in :attr:`problem`.

        Returns
        -------
        Problem
            Operator ``x`` split k ways becomes ``x/0`` to ``x/k-1``, its exchange ``x/0:sync``
            and so on, on the same device as its shard. Shard i of a consumer split k ways takes
            the tensor of shard i · p // k of a producer split p ways. Members of a colocation
            group are colocated shard by shard.

        Raises
        ------
        InputError
            If the choice names an operator or an alternative that does not exist, or a shard
            count is larger than the cluster.
        """
        chosen: dict[str, Alternative] = {}
        for name, way in choice.items():
            ways = {w.id: w for w in self.alternatives.get(name, ())}
            if way not in ways:
                raise InputError(
                    f"operator '{name}' has no alternative '{way}'; "
                    f"it has {', '.join(ways) or 'none'}"
                )
            chosen[name] = ways[way]
            if ways[way].shards > self.problem.n_devices:
                raise InputError(
                    f"alternative '{way}' of operator '{name}' needs {ways[way].shards} devices; "
                    f"the cluster has {self.problem.n_devices}"
                )
        if not chosen:
            return self.problem
        problem = replace(self.problem, template=Expansion(self.problem, chosen).graph())
        check_problem(problem)
        return problem


def _check_way(
    problem: Problem, name: str, way: Alternative, groups: set[str], tensors: set[str]
) -> None:
    what = f"alternative '{way.id}' of operator '{name}'"
    graph = problem.template
    if way.shards < 1:
        raise InputError(f"{what} has {way.shards} shards; it must have 1 or more")
    for label, values in (("parameters", way.parameters), ("tensors", way.tensors)):
        known = groups if label == "parameters" else tensors
        for key in values:
            if key not in known:
                raise InputError(f"{what} names '{key}' in {label}, which the operator lacks")
    for key in way.gather:
        if key not in tensors or np.isnan(graph.transfer[graph.tensor_index[key]]):
            raise InputError(
                f"{what} names '{key}' in gather; it must be a tensor of the operator with a "
                "fixed transfer time"
            )
    numbers = [way.collective, way.workspace]
    for table in (way.parameters, way.tensors, way.gather):
        numbers += table.values()
    numbers += way.duration.values() if isinstance(way.duration, Mapping) else [way.duration]
    if not np.all(np.isfinite(numbers)) or min(numbers) < 0:
        raise InputError(f"{what} has a number that is negative or not finite; use 0 or more")
