"""DualPipe and DualPipeV (DeepSeek-AI 2024): two opposite flows through every device."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from planner_core.baselines.layout import (
    Action,
    Entry,
    Layout,
    Rows,
    actions_of,
    lay_out,
    view_of,
)
from planner_core.problem import NotApplicable, Problem
from planner_core.problem.placements import pipeline_devices


def bidirectional(problem: Problem) -> Layout:
    """Stages down the devices for half of the micro-batches and up for the other half.

    Raises
    ------
    NotApplicable
        If devices or micro-batches are odd, or micro-batches fewer than 2 per device.
    """
    view = view_of(problem)
    p, m = len(pipeline_devices(problem)), view.n_micro_batches
    if p % 2:
        raise NotApplicable(f"DualPipe needs an even number of devices; there are {p}")
    if m % 2 or m < 2 * p:
        raise NotApplicable(
            f"DualPipe needs an even number of micro-batches, at least 2 per device; there are "
            f"{m} on {p} devices"
        )
    return lay_out(problem, view, [range(p), range(p - 1, -1, -1)])


def v_shaped(problem: Problem, name: str = "this schedule") -> Layout:
    """Stages down the devices and back up, two virtual stages per device.

    Raises
    ------
    NotApplicable
        If the stages are not divisible by twice the devices.
    """
    view = view_of(problem)
    p = len(pipeline_devices(problem))
    if view.n_stages % (2 * p):
        raise NotApplicable(
            f"{name} needs stages divisible by {2 * p} (two virtual stages on each of the {p} "
            f"devices); there are {view.n_stages}"
        )
    return lay_out(problem, view, [[*range(p), *range(p - 1, -1, -1)]])


def dualpipev_layout(problem: Problem) -> Layout:
    """V-shaped placement with enough micro-batches for DualPipeV.

    Raises
    ------
    NotApplicable
        If the stages do not divide or micro-batches are fewer than 2 per device.
    """
    layout = v_shaped(problem, "DualPipeV")
    if layout.n_micro_batches < 2 * layout.n_ranks:
        raise NotApplicable(
            f"DualPipeV needs at least 2 micro-batches per device; there are "
            f"{layout.n_micro_batches} on {layout.n_ranks} devices"
        )
    return layout


def dualpipe(layout: Layout) -> Rows:
    """DualPipe's published order, an overlapped forward and backward as one block."""
    half, p = layout.n_ranks // 2, layout.n_ranks
    members = [layout.micro_batches_of(r) for r in (0, 1)]
    rows: Rows = []
    for d in range(p):
        # Flow 0 is the one this device is nearer the start of.
        near = 0 if d < half else 1
        flows = [_Flow(d if r == 0 else p - 1 - d, members[r]) for r in (near, 1 - near)]
        rows.append(_steps(flows, half, min(d, p - 1 - d), layout.view.is_split))
    return rows


def dualpipev(layout: Layout) -> Rows:
    """DualPipeV's published order: DualPipe cut in half, the flow turns at the last device."""
    p = layout.n_ranks
    members = list(range(layout.n_micro_batches))
    return [
        _steps([_Flow(d, members), _Flow(2 * p - 1 - d, members)], p, d, layout.view.is_split)
        for d in range(p)
    ]


def sequential(rows: Rows, split: bool) -> Rows:
    """Return the same order without overlapped pairs: the forward, then the backward.

    With ``split`` every backward is two operators of their own, so that its gradient leaves
    before its weight part; without, the backward stays in one piece, as published.
    """
    return [list(_unblocked(row, split)) for row in rows]


def _unblocked(row: list[Entry], split: bool) -> Iterator[Entry]:
    for letter, v, i in (action for entry in row for action in actions_of(entry)):
        if letter == "B" and split:
            yield from (("I", v, i), ("W", v, i))
        else:
            yield (letter, v, i)


class _Flow:
    """One flow on one device: hands out its next forward and backward."""

    def __init__(self, virtual: int, members: list[int]) -> None:
        self.virtual, self.length = virtual, len(members)
        self._forwards, self._backwards = iter(members), iter(members)

    def forward(self) -> Action:
        return ("F", self.virtual, next(self._forwards))

    def backward(self) -> Action:
        return ("B", self.virtual, next(self._backwards))


def _steps(flows: list[_Flow], ranks: int, rank: int, split: bool) -> list[Entry]:
    """Run through the eight steps of the published code (github.com/deepseek-ai/DualPipe).

    Parameters
    ----------
    flows : list of 2 _Flow
        The flow this device is nearer the start of, and the other.
    ranks : int
        Devices from the start of a flow to where the flows meet.
    rank : int
        This device's distance from the outer end, 0 … ranks − 1.
    split : bool
        Whether weight parts can be put off.
    """
    near, far = flows
    later = ranks - rank - 1
    row: list[Entry] = []
    put_off: deque[Action] = deque()

    def backward(flow: _Flow, zero_bubble: bool) -> None:
        letter, v, i = flow.backward()
        if zero_bubble and split:
            row.append(("I", v, i))
            put_off.append(("W", v, i))
        else:
            row.append((letter, v, i))

    def weight() -> None:
        if put_off:
            row.append(put_off.popleft())

    row.extend(near.forward() for _ in range(2 * later))
    for _ in range(rank + 1):
        row.extend((near.forward(), far.forward()))
    for _ in range(later):
        backward(far, zero_bubble=True)
        weight()
        row.append(far.forward())
    for n in range(near.length - 2 * ranks + rank + 1):
        pair = (near.forward(), far.backward())
        # Where the flows meet, the first pair runs one after the other: it has nothing to hide.
        row.extend(pair if n == 0 and later == 0 else (pair,))
        row.append((far.forward(), near.backward()))
    for _ in range(later):
        row.append(far.backward())
        row.append((far.forward(), near.backward()))
    for n in range(2 * (rank + 1)):
        backward(far if n % 2 == 0 else near, zero_bubble=n > rank)
    for _ in range(later):
        weight()
        backward(near, zero_bubble=True)
    for _ in range(rank + 1):
        weight()
    return row
