"""Orders found by running unit passes slot by slot, for schedules published as pictures."""

from __future__ import annotations

from collections.abc import Callable

from planner_core.baselines.layout import Action, Layout, Rows

Choose = Callable[[int, list[Action]], Action | None]
"""(rank, passes it could run now) → the one it runs."""


def run_in_slots(layout: Layout, choose: Choose) -> Rows:
    """Run forwards and whole backwards of one slot each; every rank chooses among its ready ones.

    Results are there in the next slot. The choices must always lead on.
    """
    last = layout.n_virtual - 1
    directions = layout.direction.tolist()
    ready: list[list[Action]] = [[] for _ in range(layout.n_ranks)]
    rows: Rows = [[] for _ in range(layout.n_ranks)]
    for i, r in enumerate(directions):
        ready[layout.routes[r][0]].append(("F", 0, i))
    left = 2 * layout.n_virtual * layout.n_micro_batches
    while left:
        ran: list[tuple[int, Action]] = []
        for rank in range(layout.n_ranks):
            if ready[rank] and (action := choose(rank, ready[rank])) is not None:
                ran.append((rank, action))
        if not ran:
            raise RuntimeError("a schedule's rule stopped before all passes had run")
        for rank, action in ran:
            ready[rank].remove(action)
            rows[rank].append(action)
            letter, v, i = action
            if letter == "F":
                following = ("F", v + 1, i) if v < last else ("B", v, i)
            elif v > 0:
                following = ("B", v - 1, i)
            else:
                continue
            ready[layout.routes[directions[i]][following[1]]].append(following)
        left -= len(ran)
    return rows
