"""Chimera: two 1F1B pipelines in opposite directions, merged (Li and Hoefler 2021)."""

from __future__ import annotations

from planner_core.baselines.layout import Action, Layout, Rows, lay_out, view_of
from planner_core.baselines.slots import run_in_slots
from planner_core.problem import NotApplicable, Problem
from planner_core.problem.placements import pipeline_devices


def chimera_layout(problem: Problem) -> Layout:
    """Half of the micro-batches down the devices, the other half up.

    Raises
    ------
    NotApplicable
        If devices or micro-batches are odd.
    """
    view = view_of(problem)
    p, m = len(pipeline_devices(problem)), view.n_micro_batches
    if p % 2:
        raise NotApplicable(f"Chimera needs an even number of devices; there are {p}")
    if m % 2:
        raise NotApplicable(f"Chimera needs an even number of micro-batches; there are {m}")
    return lay_out(problem, view, [range(p), range(p - 1, -1, -1)])


def chimera(layout: Layout) -> Rows:
    """Chimera with direct concatenation of basic units.

    A basic unit is p micro-batches, half in each direction, each half run as 1F1B; where the
    two want a slot together, the backward and then the older micro-batch goes first. A device
    starts the next unit's forwards when it has run all forwards of the unit before.
    """
    p = layout.n_ranks
    half = p // 2
    number = {
        i: n for r in (0, 1) for n, i in enumerate(layout.micro_batches_of(r))
    }  # position within the direction
    size: dict[int, int] = {}
    for n in number.values():
        size[n // half] = size.get(n // half, 0) + 1
    forwards = [[0] * (len(size) + 1) for _ in range(p)]
    unit = [0] * p

    def choose(rank: int, ready: list[Action]) -> Action | None:
        while unit[rank] < len(size) and forwards[rank][unit[rank]] == size[unit[rank]]:
            unit[rank] += 1
        open_now = [a for a in ready if number[a[2]] // half <= unit[rank]]
        if not open_now:
            return None
        action = min(open_now, key=lambda a: (number[a[2]] // half, a[0], number[a[2]], -a[1]))
        if action[0] == "F":
            forwards[rank][number[action[2]] // half] += 1
        return action

    return run_in_slots(layout, choose)
