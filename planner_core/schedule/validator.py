"""The validator: trusts nobody, derives everything from the problem, lists every violation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
        first: dict[int, int] = {}
        for o in np.flatnonzero(graph.colocation >= 0):
            group = int(graph.colocation[o])
            other = first.setdefault(group, int(o))
            if device[o] != device[other]:
                yield Violation(
                    "assignment",
                    f"{self.name(o)} and {self.name(other)} of colocation group "
                    f"'{graph.colocation_names[group]}' run on different devices",
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
        graph, schedule, cluster = self.graph, self.schedule, self.cluster
        rows = schedule.transfers
        seen: set[tuple[int, int]] = set()
        needed = self.needed_transfers()
        send_start: dict[int, float] = {}
        for t, a, b, start, finish in zip(
            rows.tensor.tolist(), rows.source, rows.target, rows.start, rows.finish, strict=True
        ):
            a, b = int(a), int(b)
            what = f"the transfer of '{graph.tensor_ids[t]}' to {self.device(b)}"
            producer = int(graph.producer[t])
            if (t, b) in seen:
                yield Violation("transfer", f"{what} is listed twice")
                continue
            seen.add((t, b))
            if a != schedule.device[producer] or (t, b) not in needed:
                yield Violation("transfer", f"{what} from {self.device(a)} serves no consumer")
                continue
            if not cluster.has_link[a, b]:
                continue  # reported once per consumer under precedence
            made = float(schedule.finish[producer])
            if not (np.isfinite(start) and np.isfinite(finish)):
                yield Violation("transfer", f"{what} has a time that is not a finite number")
                continue
            if start < made - self.tolerance:
                yield Violation(
                    "transfer", f"{what} starts at {start:g}, before its producer ends at {made:g}"
                )
            time = self.problem.transfer_time(t, a, b)
            if cluster.staged:
                yield from self.staged_transfer(what, t, a, b, start, finish, send_start)
            elif abs(finish - start - time) > self.tolerance:
                yield Violation(
                    "transfer", f"{what} takes {finish - start:g}; it must take {time:g}"
                )
            if not cluster.staged and not cluster.exclusive[a, b] and start > made + self.tolerance:
                yield Violation(
                    "transfer",
                    f"{what} starts at {start:g}; on a link that is not exclusive it starts when "
                    f"its producer ends, at {made:g}",
                )
        for t, b in sorted(needed - seen):
            a = int(schedule.device[graph.producer[t]])
            if cluster.has_link[a, b] and (cluster.staged or cluster.exclusive[a, b]):
                yield Violation(
                    "transfer",
                    f"the transfer of '{graph.tensor_ids[t]}' to {self.device(b)} is not listed",
                )

    def staged_transfer(
        self,
        what: str,
        t: int,
        a: int,
        b: int,
        start: float,
        finish: float,
        send_start: dict[int, float],
    ) -> Iterator[Violation]:
        time = self.problem.transfer_time(t, a, b)
        out = 0.0 if self.cluster.host[a] else self.send_time(t)
        into = 0.0 if self.cluster.host[b] else time
        if finish - start < out + into - self.tolerance:
            yield Violation(
                "transfer",
                f"{what} takes {finish - start:g}; copying out and in takes {out + into:g}",
            )
        first = send_start.setdefault(t, start)
        if out > 0 and abs(first - start) > self.tolerance:
            yield Violation(
                "transfer", f"{what} starts at {start:g}, but the tensor leaves once, at {first:g}"
            )

    def send_time(self, t: int) -> float:
        """Time a staged tensor's copy out takes: that of its slowest receiver."""
        a = int(self.schedule.device[self.graph.producer[t]])
        rows = self.schedule.transfers
        return max(
            (self.problem.transfer_time(t, a, int(b)) for b in rows.target[rows.tensor == t]),
            default=0.0,
        )

    def needed_transfers(self) -> set[tuple[int, int]]:
        graph, device = self.graph, self.schedule.device
        crossing = device[graph.edge_source] != device[graph.edge_target]
        return {
            (int(t), int(k))
            for t, k in zip(
                graph.edge_tensor[crossing], device[graph.edge_target[crossing]], strict=True
            )
        }

    def streams(self) -> Iterator[Violation]:
        """Operators on streams, staged copies on compute streams, transfers on exclusive links."""
        graph, schedule, cluster = self.graph, self.schedule, self.cluster
        busy: dict[str, list[tuple[float, float, str, int]]] = {}
        for o in range(graph.n_operators):
            stream = graph.stream_names[graph.stream[o]]
            key = f"the {stream} stream of {self.device(schedule.device[o])}"
            row = (float(schedule.start[o]), float(schedule.finish[o]), self.name(o), o)
            busy.setdefault(key, []).append(row)
        rows = schedule.transfers
        sent: set[int] = set()
        for t, a, b, start, finish in zip(
            rows.tensor.tolist(), rows.source, rows.target, rows.start, rows.finish, strict=True
        ):
            label = f"the transfer of '{graph.tensor_ids[t]}'"
            if cluster.staged:
                time = self.problem.transfer_time(t, int(a), int(b))
                if not cluster.host[a] and t not in sent:
                    sent.add(t)
                    key = f"the compute stream of {self.device(a)}"
                    row = (float(start), float(start) + self.send_time(t), label, -1)
                    busy.setdefault(key, []).append(row)
                if not cluster.host[b]:
                    key = f"the compute stream of {self.device(b)}"
                    row = (float(finish) - time, float(finish), label, -1)
                    busy.setdefault(key, []).append(row)
            elif cluster.exclusive[a, b]:
                key = f"the link from {self.device(a)} to {self.device(b)}"
                busy.setdefault(key, []).append((float(start), float(finish), label, -1))
        for key, intervals in busy.items():
            yield from self.overlaps(key, intervals)

    def overlaps(
        self, where: str, intervals: list[tuple[float, float, str, int]]
    ) -> Iterator[Violation]:
        intervals.sort()
        longest: tuple[float, float, str, int] | None = None
        for row in intervals:
            start, finish, label, o = row
            if longest is not None:
                other_finish, other_label, other = longest[1:]
                # An operator of no duration takes no time on its stream, wherever it stands.
                overlap = min(finish, other_finish) - start
                pair = frozenset((o, other))
                if overlap > self.tolerance and pair not in self.pairs:
                    yield Violation(
                        "stream",
                        f"{label} (from {start:g}) and {other_label} (until {other_finish:g}) "
                        f"overlap on {where}",
                    )
            if longest is None or finish > longest[1]:
                longest = row

    def precedence(self) -> Iterator[Violation]:
        graph, schedule, cluster = self.graph, self.schedule, self.cluster
        rows = schedule.transfers
        arrival = {
            (int(t), int(k)): float(f)
            for t, k, f in zip(rows.tensor, rows.target, rows.finish, strict=True)
        }
        edges = zip(graph.edge_tensor, graph.edge_source, graph.edge_target, strict=True)
        for t, producer, consumer in edges:
            a, b = int(schedule.device[producer]), int(schedule.device[consumer])
            tensor = f"'{graph.tensor_ids[t]}'"
            if a != b and not cluster.has_link[a, b]:
                yield Violation(
                    "precedence",
                    f"tensor {tensor} must go from {self.device(a)} to {self.device(b)}, "
                    "but no link joins them",
                )
                continue
            there = float(schedule.finish[producer])
            if a != b:
                if not cluster.staged:  # the copies of a staged transfer are checked there
                    there += self.problem.transfer_time(int(t), a, b)
                there = max(arrival.get((int(t), b), 0.0), there)
            if schedule.start[consumer] < there - self.tolerance:
                yield Violation(
                    "precedence",
                    f"{self.name(consumer)} starts at {schedule.start[consumer]:g}, before tensor "
                    f"{tensor} of {self.name(producer)} is there at {there:g}",
                )

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
