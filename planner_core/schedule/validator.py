"""The validator: trusts nobody, derives everything from the problem, lists every violation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.schedule.measures import measure
from planner_core.schedule.memory import memory_profiles
from planner_core.schedule.schedule import Schedule


@dataclass(frozen=True)
class Violation:
    """One broken rule of the problem model.

    Parameters
    ----------
    rule : str
        ``assignment``, ``duration``, ``stream``, ``precedence``, ``transfer``, ``memory``,
        ``time`` or ``budget``.
    message : str
        One sentence that names the operators, devices, times and sizes.
    """

    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"


def validate(
    problem: Problem, schedule: Schedule, *, allow_overlapped: bool = False
) -> list[Violation]:
    """Check a schedule against the rules of the problem model.

    Parameters
    ----------
    problem : Problem
    schedule : Schedule
        Transfers that do not queue on an exclusive link and are not staged may be left out;
        they then start when the producer finishes.
    allow_overlapped : bool
        Let pairs listed in ``schedule.overlapped`` share a stream and take their own time (the
        published DualPipe model, which is outside the problem model).

    Returns
    -------
    list of Violation
        Empty if the schedule keeps every rule.
    """
    check = _Check(problem, schedule, allow_overlapped)
    found = list(check.shapes())
    if found:
        return found
    found = [*check.times(), *check.assignment()]
    if not check.readable():
        return found
    return [
        *found,
        *check.durations(),
        *check.transfers(),
        *check.streams(),
        *check.precedence(),
        *check.memory(),
        *check.budgets(),
    ]


class _Moves(NamedTuple):
    """What crosses devices; a pair is tensor · K + receiving device."""

    needed: np.ndarray
    """Pairs that must cross, ascending."""
    pair: np.ndarray
    """Pair of every listed transfer."""
    first: np.ndarray
    """Whether a listed transfer is the first of its pair."""
    time: np.ndarray
    """Transfer time of every listed transfer."""
    send_time: np.ndarray
    """Time of every tensor's staged copy out; shape (m,)."""


class _Check:
    def __init__(self, problem: Problem, schedule: Schedule, allow_overlapped: bool) -> None:
        self.problem, self.schedule = problem, schedule
        self.graph, self.cluster = problem.graph, problem.cluster
        finite = np.isfinite(schedule.finish)
        self.tolerance = RELATIVE_TOLERANCE * max(
            0.0, float(np.max(schedule.finish, where=finite, initial=0.0))
        )
        self.pairs = {
            frozenset((int(a), int(b)))
            for a, b in (schedule.overlapped if allow_overlapped else ())
        }
        self.overlapped = {o for pair in self.pairs for o in pair}

    def name(self, operator: int | np.integer) -> str:
        return f"operator '{self.graph.operator_ids[operator]}'"

    def device(self, k: int | np.integer) -> str:
        return f"device '{self.cluster.device_ids[k]}'"

    def shapes(self) -> Iterator[Violation]:
        n = self.graph.n_operators
        for label in ("device", "start", "finish"):
            length = len(getattr(self.schedule, label))
            if length != n:
                yield Violation(
                    "assignment", f"the schedule has {length} {label} values for {n} operators"
                )
        rows = self.schedule.transfers
        for label, count in (
            ("tensor", self.graph.n_tensors),
            ("source", self.problem.n_devices),
            ("target", self.problem.n_devices),
        ):
            numbers = getattr(rows, label)
            if np.any((numbers < 0) | (numbers >= count)):
                yield Violation("transfer", f"a transfer names a {label} that does not exist")

    def readable(self) -> bool:
        """Whether every operator has finite times and a device of the cluster."""
        schedule = self.schedule
        times = np.isfinite(schedule.start) & np.isfinite(schedule.finish)
        known = (schedule.device >= 0) & (schedule.device < self.problem.n_devices)
        return bool(np.all(times & known))

    def times(self) -> Iterator[Violation]:
        start, finish = self.schedule.start, self.schedule.finish
        for o in np.flatnonzero(~(np.isfinite(start) & np.isfinite(finish))):
            yield Violation("time", f"{self.name(o)} has a time that is not a finite number")
        for o in np.flatnonzero(np.isfinite(start) & (start < -self.tolerance)):
            yield Violation("time", f"{self.name(o)} starts at {start[o]:g}, before 0")

    def assignment(self) -> Iterator[Violation]:
        graph, device = self.graph, self.schedule.device
        known = (device >= 0) & (device < self.problem.n_devices)
        for o in np.flatnonzero(~known):
            yield Violation("assignment", f"{self.name(o)} runs on no device of the cluster")
        inside = np.flatnonzero(known)
        allowed = np.isfinite(self.problem.durations[inside, device[inside]])
        for o in inside[~allowed]:
            yield Violation("assignment", f"{self.name(o)} may not run on {self.device(device[o])}")
        members = np.flatnonzero(graph.colocation >= 0)
        group = graph.colocation[members]
        first = np.zeros(len(graph.colocation_names), dtype=np.int64)
        first[group[::-1]] = members[::-1]  # the first member is written last
        other = first[group]
        for i in np.flatnonzero(device[members] != device[other]):
            yield Violation(
                "assignment",
                f"{self.name(members[i])} and {self.name(other[i])} of colocation group "
                f"'{graph.colocation_names[group[i]]}' run on different devices",
            )

    def durations(self) -> Iterator[Violation]:
        schedule = self.schedule
        expected = self.problem.durations[np.arange(len(schedule.device)), schedule.device]
        actual = schedule.finish - schedule.start
        allowed = np.isfinite(expected)  # elsewhere it has no duration: reported as assignment
        for o in np.flatnonzero(allowed & ~(np.abs(actual - expected) <= self.tolerance)):
            if int(o) not in self.overlapped:
                yield Violation(
                    "duration",
                    f"{self.name(o)} takes {actual[o]:g} on {self.device(schedule.device[o])}; "
                    f"its duration there is {expected[o]:g}",
                )

    def transfers(self) -> Iterator[Violation]:
        """Find the rows that break a rule with columns, then look at these one by one."""
        graph, schedule, cluster = self.graph, self.schedule, self.cluster
        rows, moves = schedule.transfers, self.moves
        producer = graph.producer[rows.tensor]
        made = schedule.finish[producer]
        linked = cluster.has_link[rows.source, rows.target]
        serves = (rows.source == schedule.device[producer]) & np.isin(moves.pair, moves.needed)
        checked = moves.first & serves & linked  # no link: reported under precedence
        finite = np.isfinite(rows.start) & np.isfinite(rows.finish)
        with np.errstate(invalid="ignore"):
            took = rows.finish - rows.start
            wrong = rows.start < made - self.tolerance
            late = rows.start > made + self.tolerance
            off = ~(np.abs(took - moves.time) <= self.tolerance)
        if cluster.staged:
            leaves = self.leaving(checked & finite)
            out = np.where(cluster.host[rows.source], 0.0, moves.send_time[rows.tensor])
            into = np.where(cluster.host[rows.target], 0.0, moves.time)
            with np.errstate(invalid="ignore"):
                short = took < out + into - self.tolerance
                twice = (out > 0) & (np.abs(leaves - rows.start) > self.tolerance)
            wrong |= short | twice
        else:
            wrong |= off | (late & ~cluster.exclusive[rows.source, rows.target])
        for x in np.flatnonzero(~moves.first | ~serves | (checked & (~finite | wrong))).tolist():
            what = (
                f"the transfer of '{graph.tensor_ids[rows.tensor[x]]}' to "
                f"{self.device(rows.target[x])}"
            )
            if not moves.first[x]:
                yield Violation("transfer", f"{what} is listed twice")
            elif not serves[x]:
                source = self.device(rows.source[x])
                yield Violation("transfer", f"{what} from {source} serves no consumer")
            elif not finite[x]:
                yield Violation("transfer", f"{what} has a time that is not a finite number")
            else:
                if rows.start[x] < made[x] - self.tolerance:
                    yield Violation(
                        "transfer",
                        f"{what} starts at {rows.start[x]:g}, before its producer ends at "
                        f"{made[x]:g}",
                    )
                if cluster.staged:
                    yield from self.staged_transfer(
                        what, x, float(leaves[x]), float(out[x]), float(into[x])
                    )
                else:
                    yield from self.plain_transfer(what, x, float(made[x]))
        yield from self.unlisted_transfers()

    def leaving(self, rows: np.ndarray) -> np.ndarray:
        """Start of the first of the given transfers of each row's tensor."""
        transfers = self.schedule.transfers
        chosen = np.flatnonzero(rows)[::-1]  # the first row is written last
        start = np.full(self.graph.n_tensors, np.nan)
        start[transfers.tensor[chosen]] = transfers.start[chosen]
        return start[transfers.tensor]

    def unlisted_transfers(self) -> Iterator[Violation]:
        graph, cluster = self.graph, self.cluster
        if not (cluster.staged or cluster.exclusive.any()):
            return
        missing = np.setdiff1d(self.moves.needed, self.moves.pair)
        tensor, b = np.divmod(missing, self.problem.n_devices)
        a = self.schedule.device[graph.producer[tensor]]
        must = cluster.has_link[a, b] & (cluster.staged | cluster.exclusive[a, b])
        for x in np.flatnonzero(must):
            yield Violation(
                "transfer",
                f"the transfer of '{graph.tensor_ids[tensor[x]]}' to {self.device(b[x])} "
                "is not listed",
            )

    def plain_transfer(self, what: str, x: int, made: float) -> Iterator[Violation]:
        rows = self.schedule.transfers
        start, took, time = rows.start[x], rows.finish[x] - rows.start[x], self.moves.time[x]
        if abs(took - time) > self.tolerance:
            yield Violation("transfer", f"{what} takes {took:g}; it must take {time:g}")
        exclusive = self.cluster.exclusive[rows.source[x], rows.target[x]]
        if not exclusive and start > made + self.tolerance:
            yield Violation(
                "transfer",
                f"{what} starts at {start:g}; on a link that is not exclusive it starts when "
                f"its producer ends, at {made:g}",
            )

    def staged_transfer(
        self, what: str, x: int, first: float, out: float, into: float
    ) -> Iterator[Violation]:
        rows = self.schedule.transfers
        start, took = rows.start[x], rows.finish[x] - rows.start[x]
        if took < out + into - self.tolerance:
            yield Violation(
                "transfer", f"{what} takes {took:g}; copying out and in takes {out + into:g}"
            )
        if out > 0 and abs(first - start) > self.tolerance:
            yield Violation(
                "transfer", f"{what} starts at {start:g}, but the tensor leaves once, at {first:g}"
            )

    @cached_property
    def moves(self) -> _Moves:
        graph, schedule, k = self.graph, self.schedule, self.problem.n_devices
        rows, device = schedule.transfers, schedule.device
        crossing = device[graph.edge_source] != device[graph.edge_target]
        tensor = graph.edge_tensor[crossing].astype(np.int64)
        needed = np.unique(tensor * k + device[graph.edge_target[crossing]])
        pair = rows.tensor.astype(np.int64) * k + rows.target
        first = np.zeros(len(rows), dtype=bool)
        first[np.unique(pair, return_index=True)[1]] = True
        # A staged tensor's copy out takes as long as its slowest receiver's.
        send_time = np.zeros(graph.n_tensors)
        home = device[graph.producer[rows.tensor]]
        np.maximum.at(
            send_time, rows.tensor, self.problem.transfer_times(rows.tensor, home, rows.target)
        )
        time = self.problem.transfer_times(rows.tensor, rows.source, rows.target)
        return _Moves(needed, pair, first, time, send_time)

    def streams(self) -> Iterator[Violation]:
        """Operators on streams, staged copies on compute streams, transfers on exclusive links."""
        graph, schedule, cluster = self.graph, self.schedule, self.cluster
        n_streams, k = len(graph.stream_names), self.problem.n_devices
        rows = schedule.transfers
        n, links = graph.n_operators, k * n_streams
        where = [schedule.device.astype(np.int64) * n_streams + graph.stream]
        start, finish, who = [schedule.start], [schedule.finish], [np.arange(n)]

        def add(chosen: np.ndarray, resource: np.ndarray, begin: object, end: object) -> None:
            where.append(resource[chosen])
            start.append(np.asarray(begin)[chosen])
            finish.append(np.asarray(end)[chosen])
            who.append(-1 - np.flatnonzero(chosen))

        source, target = rows.source.astype(np.int64), rows.target.astype(np.int64)
        if cluster.staged:
            leaves = np.zeros(len(rows), dtype=bool)
            away = np.flatnonzero(~cluster.host[source])
            leaves[away[np.unique(rows.tensor[away], return_index=True)[1]]] = True
            ends = rows.start + self.moves.send_time[rows.tensor]
            add(leaves, source * n_streams, rows.start, ends)
            enters = ~cluster.host[target]
            add(enters, target * n_streams, rows.finish - self.moves.time, rows.finish)
        else:
            exclusive = cluster.exclusive[source, target]
            add(exclusive, links + source * k + target, rows.start, rows.finish)
        columns = [np.concatenate(part) for part in (where, start, finish, who)]
        order = np.lexsort((columns[2], columns[1], columns[0]))
        resource, begin, end, occupant = (column[order] for column in columns)
        cuts = np.flatnonzero(np.diff(resource)) + 1
        for a, b in zip([0, *cuts.tolist()], [*cuts.tolist(), len(order)], strict=True):
            before = np.maximum.accumulate(end[a:b])[:-1]
            with np.errstate(invalid="ignore"):
                clash = np.minimum(end[a + 1 : b], before) - begin[a + 1 : b] > self.tolerance
            if clash.any():
                name = self.resource_name(int(resource[a]))
                yield from self.overlaps(name, begin[a:b], end[a:b], occupant[a:b])

    def resource_name(self, resource: int) -> str:
        n_streams, k = len(self.graph.stream_names), self.problem.n_devices
        if resource < k * n_streams:
            stream = self.graph.stream_names[resource % n_streams]
            return f"the {stream} stream of {self.device(resource // n_streams)}"
        source, target = divmod(resource - k * n_streams, k)
        return f"the link from {self.device(source)} to {self.device(target)}"

    def occupant_name(self, occupant: int) -> str:
        if occupant >= 0:
            return self.name(occupant)
        tensor = self.schedule.transfers.tensor[-1 - occupant]
        return f"the transfer of '{self.graph.tensor_ids[tensor]}'"

    def overlaps(
        self, where: str, start: np.ndarray, finish: np.ndarray, occupant: np.ndarray
    ) -> Iterator[Violation]:
        """List the overlaps on one resource; rows by start."""
        longest: tuple[float, int] | None = None
        for begin, end, o in zip(start.tolist(), finish.tolist(), occupant.tolist(), strict=True):
            if longest is not None:
                other_end, other = longest
                # An operator of no duration takes no time on its stream, wherever it stands.
                overlap = min(end, other_end) - begin
                if overlap > self.tolerance and frozenset((o, other)) not in self.pairs:
                    yield Violation(
                        "stream",
                        f"{self.occupant_name(o)} (from {begin:g}) and "
                        f"{self.occupant_name(other)} (until {other_end:g}) overlap on {where}",
                    )
            if longest is None or end > longest[0]:
                longest = (end, o)

    def precedence(self) -> Iterator[Violation]:
        graph, schedule, cluster = self.graph, self.schedule, self.cluster
        tensor, producer, consumer = graph.edge_tensor, graph.edge_source, graph.edge_target
        a, b = schedule.device[producer], schedule.device[consumer]
        there = schedule.finish[producer]
        crossing = np.flatnonzero(a != b)
        linked = np.ones(len(tensor), dtype=bool)
        linked[crossing] = cluster.has_link[a[crossing], b[crossing]]
        if not cluster.staged:  # the copies of a staged transfer are checked there
            there[crossing] += self.problem.transfer_times(
                tensor[crossing], a[crossing], b[crossing]
            )
        pair = tensor[crossing].astype(np.int64) * self.problem.n_devices + b[crossing]
        there[crossing] = np.maximum(there[crossing], self.arrival(pair))
        with np.errstate(invalid="ignore"):
            early = schedule.start[consumer] < there - self.tolerance
        for e in np.flatnonzero(early | ~linked):
            name = f"'{graph.tensor_ids[tensor[e]]}'"
            if not linked[e]:
                yield Violation(
                    "precedence",
                    f"tensor {name} must go from {self.device(a[e])} to {self.device(b[e])}, "
                    "but no link joins them",
                )
                continue
            yield Violation(
                "precedence",
                f"{self.name(consumer[e])} starts at {schedule.start[consumer[e]]:g}, before "
                f"tensor {name} of {self.name(producer[e])} is there at {there[e]:g}",
            )

    def arrival(self, pair: np.ndarray) -> np.ndarray:
        """Listed arrival of every (tensor, device) pair; 0 where none is listed."""
        listed, finish = self.moves.pair, self.schedule.transfers.finish
        if not len(listed):
            return np.zeros(len(pair))
        order = np.argsort(listed, kind="stable")
        at = np.maximum(np.searchsorted(listed[order], pair, side="right") - 1, 0)
        return np.where(listed[order][at] == pair, finish[order][at], 0.0)

    def memory(self) -> Iterator[Violation]:
        limits = self.cluster.memory
        for k, profile in enumerate(memory_profiles(self.problem, self.schedule)):
            if profile.peak > limits[k] * (1 + RELATIVE_TOLERANCE):
                at = profile.time[int(np.argmax(profile.used))]
                yield Violation(
                    "memory",
                    f"{self.device(k)} holds {profile.peak:g} at {at:g}; its limit is "
                    f"{limits[k]:g}",
                )

    def budgets(self) -> Iterator[Violation]:
        for name, budget in self.problem.objective.subject_to.items():
            value = measure(name, self.problem, self.schedule)
            if value > budget * (1 + RELATIVE_TOLERANCE):
                yield Violation("budget", f"{name} is {value:g}; the budget is {budget:g}")
