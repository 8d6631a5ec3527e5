"""Hanayo: wave-like pipelines, stages down and up the devices several times (Liu et al. 2023)."""

from __future__ import annotations

from planner_core.baselines.layout import Action, Layout, Rows, lay_out, view_of
from planner_core.baselines.slots import run_in_slots
from planner_core.problem import InputError, NotApplicable, Problem
from planner_core.problem.placements import pipeline_devices


def waves(problem: Problem, waves: int | None = None) -> Layout:
    """Stages down and back up the devices, ``waves`` times (default: as many as divide).

    Raises
    ------
    NotApplicable
        If the stages are not divisible by twice the devices times the waves.
    """
    view = view_of(problem)
    p = len(pipeline_devices(problem))
    if waves is not None and waves < 1:
        raise InputError(f"waves is {waves}; it must be 1 or more")
    if waves is None:
        waves = max(1, view.n_stages // (2 * p))
    if view.n_stages % (2 * p * waves):
        raise NotApplicable(
            f"Hanayo with {waves} waves needs stages divisible by {2 * p * waves}; there are "
            f"{view.n_stages}"
        )
    wave = [*range(p), *range(p - 1, -1, -1)]
    return lay_out(problem, view, [wave * waves])


def hanayo(layout: Layout) -> Rows:
    """One-forward-one-backward along the wave.

    Backwards go first, then the forward that is furthest along its wave; at most p
    micro-batches are under way, so no device holds more activations than 1F1B's first.
    """
    p = layout.n_ranks
    under_way: set[int] = set()

    def choose(rank: int, ready: list[Action]) -> Action | None:
        def allowed(action: Action) -> bool:
            return action[:2] != ("F", 0) or len(under_way) < p

        # "B" sorts before "F".
        action = min(
            filter(allowed, ready),
            key=lambda a: (a[0], -a[1] if a[0] == "F" else a[1], a[2]),
            default=None,
        )
        if action is not None and action[:2] == ("F", 0):
            under_way.add(action[2])
        if action is not None and action[:2] == ("B", 0):
            under_way.discard(action[2])
        return action

    return run_in_slots(layout, choose)
