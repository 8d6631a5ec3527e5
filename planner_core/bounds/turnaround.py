"""Memory turnaround: a device may have to wait until memory it filled comes back.

Before its first backward a pipeline stage can run forwards only, and only as many as its memory
holds; at the end, the work that still fits does not fill the time the last forward's gradient
takes to come back. In general: for one device, a linear programme over the share of every class
of tasks that is done by some instants. Instants near the start are absolute, instants near the
end are relative to the makespan, and an interval of free length lies between.

With g(p) the share of a task done by instant p, every schedule satisfies, for every p,

- memory: Σ size · (g_allocating(p) − g_releasing(p)) ≤ room, since a tensor is held from the
  start of the one until the finish of the other;
- precedence: g_later(p) ≤ g_earlier(p − lag), lag a longest path between the two;
- capacity of each stream between consecutive instants; g = 0 until the head, 1 from the tail.

Tasks of one class are those that refinement cannot tell apart, so their average satisfies the
same inequalities. Importing this module imports numba.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from planner_core.bounds.bound import Bound
from planner_core.bounds.classes import DeviceModel, device_models
from planner_core.bounds.linear import Rows
from planner_core.bounds.paths import Network
from planner_core.schedule.lattice import common_step

INSTANTS = 60
"""Instants per end of the schedule, at most."""
GRID = 150
"""A lattice of times with no more steps than this is used whole."""
LARGEST_PROGRAMME = 30_000
"""Classes × instants; a device with more is passed over."""


def turnaround_bound(network: Network, known: float, deadline: float | None = None) -> Bound:
    """Return the memory-turnaround bound on the makespan.

    Parameters
    ----------
    network : Network
        With every device fixed.
    known : float
        Another lower bound, which the instants near start and end share between them.
    deadline : float, optional
        Value of ``time.monotonic()`` after which no further device is tried.
    """
    step = _time_step(network)
    value = known
    for model in device_models(network, limited=True):
        if deadline is not None and time.monotonic() > deadline:
            break
        value = max(value, _round_up(_least(model, network, value, None, step), step))
    return Bound(value, "memory-turnaround bound")


def least_memory(network: Network, budget: float) -> float:
    """Smallest peak memory of the neediest device for a makespan within the budget."""
    step = _time_step(network)
    value = 0.0
    for model in device_models(network, limited=False):
        least = _least(model, network, budget, budget, step)
        unit = common_step(model.sizes)
        value = max(value, model.resident + _round_up(least, unit))
    return value


def _time_step(network: Network) -> float | None:
    assert network.tasks is not None
    return common_step(np.concatenate([network.duration, network.tasks.arc_lag]))


def _round_up(value: float, step: float | None) -> float:
    """Smallest multiple of the step that is no less, up to rounding errors."""
    if step is None or not math.isfinite(value):
        return value if math.isfinite(value) else 0.0
    return math.ceil(value / step - 1e-6) * step


@dataclass(frozen=True)
class _Instants:
    """Ascending times near the start and ascending distances to the makespan near the end."""

    early: list[float]
    late: list[float]


def _instants(model: DeviceModel, span: float, step: float | None) -> _Instants:
    """Instants of both ends; the two ends together take no more than ``span``."""
    first, last = float(model.head.max()), float(model.tail.max())
    reach = max(first + last, 1e-300)
    share = span * first / reach if reach > span else first + (span - reach) / 2
    if step is not None and span / step <= GRID:
        cut = math.floor(share / step + 1e-9)
        rest = math.floor(span / step + 1e-9) - cut
        return _Instants([i * step for i in range(1, cut + 1)], [i * step for i in range(rest + 1)])
    lags = np.concatenate([model.pair_lag, model.hold_span])
    early = _choose(model.head, model.duration, lags, share)
    late = _choose(model.tail, model.duration, lags, span - share)
    return _Instants(early, sorted({0.0, *late}))


def _choose(
    anchors: np.ndarray, durations: np.ndarray, lags: np.ndarray, reach: float
) -> list[float]:
    """Heads (or tails), what follows from them, and an even spread, up to ``reach``."""
    base = np.unique(anchors)
    near = np.add.outer(base, np.unique(np.concatenate([durations, lags]))).ravel()
    picked = base[(base > 0) & (base <= reach)].tolist()
    for values in (np.unique(near), np.linspace(0, reach, INSTANTS // 2 + 1)):
        values = values[(values > 0) & (values <= reach)]
        if len(values) > INSTANTS // 2:
            values = values[np.linspace(0, len(values) - 1, INSTANTS // 2).astype(int)]
        picked.extend(values.tolist())
    return sorted(set(picked))


def _least(
    model: DeviceModel,
    network: Network,
    span: float,
    budget: float | None,
    step: float | None,
) -> float:
    """Least makespan (no budget) or least memory beside the resident (budget) of one device."""
    instants = _instants(model, span, step)
    if len(model.count) * (len(instants.early) + len(instants.late)) > LARGEST_PROGRAMME:
        return 0.0
    assert network.tasks is not None
    longest = float(network.duration.sum() + network.tasks.arc_lag.sum())
    return _Programme(model, instants, max(span, longest), span, budget).rows.bound()


class _Programme:
    """The linear programme of one device."""

    def __init__(
        self,
        model: DeviceModel,
        instants: _Instants,
        longest: float,
        span: float,
        budget: float | None,
    ) -> None:
        self.model, self.rows = model, Rows()
        self.early, self.late = np.array(instants.early), np.array(instants.late[::-1])
        self.end = float(self.late[0])
        if budget is None:
            self.makespan = self.rows.variable(span, longest, cost=1.0)
            self.memory = None
        else:
            self.makespan = self.rows.variable(budget, budget)
            everything = float(model.hold_amount.sum())
            self.memory = self.rows.variable(0.0, everything, cost=1.0)
        self.points = len(self.early) + len(self.late)
        # Column of each class's share at each instant, −1 where it is known to be 0, −2 for 1.
        self.share = np.array([self._shares(c) for c in range(len(model.count))])
        self._capacity()
        self._precedence()
        self._memory()

    def _shares(self, c: int) -> list[int]:
        model, rows = self.model, self.rows
        early = [-1 if p <= model.head[c] else rows.variable(0.0, 1.0) for p in self.early]
        # A task of no duration may start at the very instant its tail allows: not yet done by it.
        tail = model.tail[c] if model.duration[c] > 0 else np.nextafter(model.tail[c], -1.0)
        late = [-2 if q <= max(tail, 0.0) else rows.variable(0.0, 1.0) for q in self.late]
        return early + late

    def _term(self, column: int, factor: float) -> tuple[list[tuple[int, float]], float]:
        if column >= 0:
            return [(column, factor)], 0.0
        return [], factor if column == -2 else 0.0

    def _capacity(self) -> None:
        model, split = self.model, len(self.early)
        for c in range(len(model.count)):
            for i in range(1, self.points):
                self._row([(self.share[c, i - 1], 1.0), (self.share[c, i], -1.0)], 0.0)
        begin = float(self.early[-1]) if split else 0.0
        for r in np.unique(model.resource):
            members = np.flatnonzero(model.resource == r).tolist()
            for i in range(self.points):
                terms = []
                for c in members:
                    work = float(model.count[c] * model.duration[c])
                    terms.append((self.share[c, i], work))
                    if i:
                        terms.append((self.share[c, i - 1], -work))
                if i < split:
                    self._row(terms, float(self.early[i] - (self.early[i - 1] if i else 0.0)))
                elif i > split:
                    self._row(terms, float(self.late[i - 1 - split] - self.late[i - split]))
                else:
                    self._row([*terms, (self.makespan, -1.0)], -begin - self.end)

    def _row(self, terms: list[tuple[int, float]], limit: float) -> None:
        row: list[tuple[int, float]] = []
        for column, factor in terms:
            part, constant = self._term(int(column), factor)
            row.extend(part)
            limit -= constant
        if row:
            self.rows.at_most(row, limit)

    def _at(self, c: int, i: int, lag: float) -> int:
        """Column of a share that is at least the share of class c at instant i less ``lag``."""
        split = len(self.early)
        slack = 1e-12 * (self.end + (self.early[-1] if split else 0.0))
        if i < split:
            time = self.early[i] - lag
            if time <= self.model.head[c]:
                return -1
            return int(self.share[c, min(i, np.searchsorted(self.early, time - slack))])
        before = self.late[i - split] + lag
        later = int(np.searchsorted(-self.late, -before - slack))
        return int(self.share[c, split + min(later, i - split)])

    def _precedence(self) -> None:
        model = self.model
        for a, b, lag in zip(model.pair_from, model.pair_to, model.pair_lag, strict=True):
            if model.duration[a] == 0:
                continue  # an instant both start at would count against it
            for i in range(self.points):
                self._row([(self.share[b, i], 1.0), (self._at(a, i, float(lag)), -1.0)], 0.0)

    def _memory(self) -> None:
        model = self.model
        for i in range(self.points - 1):  # what is held at the end needs no programme
            terms: list[tuple[int, float]] = []
            for h in range(len(model.hold_from)):
                a, amount = int(model.hold_from[h]), float(model.hold_amount[h])
                terms.append((self.share[a, i], amount))
                if math.isinf(model.hold_span[h]):
                    continue
                free = self.rows.variable(0.0, 1.0)
                terms.append((free, -amount))
                limits = [self._at(a, i, float(model.hold_span[h]))]
                limits += [self._at(b, i, lag) for b, lag in model.hold_release[h]]
                for column in set(limits):
                    self._row([(free, 1.0), (column, -1.0)], 0.0)
            if self.memory is not None:
                self._row([*terms, (self.memory, -1.0)], 0.0)
            elif terms:
                self._row(terms, model.room)
