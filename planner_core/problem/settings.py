"""What a user sets beside a problem; together with it, a scenario."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from planner_core.problem.checks import check_problem
from planner_core.problem.cluster import Cluster
from planner_core.problem.errors import InputError
from planner_core.problem.micro_batches import with_micro_batches
from planner_core.problem.objective import Objective
from planner_core.problem.problem import Problem

TIME_LIMIT = 30.0
"""Seconds a search takes unless told otherwise."""

MERGINGS: dict[str, str] = {
    "automatic": "large graphs are merged step by step, small ones searched as they are",
    "none": "every operator is planned by itself",
    "chains": "an operator joins its only producer if it is that one's only consumer",
    "producers": "an operator joins its only producer",
    "consumers": "an operator joins its only consumer",
    "siblings": "operators with the same producers and the same consumers join",
    "heavy edges": "the two ends of the largest tensors join",
    "levels": "neighbours that no path connects join",
    "stages": "stretches of a topological order join",
    "combined": "chains, producers, consumers, siblings and heavy edges by turns",
}
"""Merging levels and what each does."""


def check_merging(merging: str, cap: float | None) -> None:
    """Refuse a merging level that does not exist or a cap that cannot be.

    Raises
    ------
    InputError
    """
    if merging not in MERGINGS:
        raise InputError(f"there is no merging '{merging}'; use one of {', '.join(MERGINGS)}")
    if cap is None:
        return
    if merging in ("automatic", "none"):
        raise InputError(
            f"merging '{merging}' takes no cap; name a heuristic such as 'combined' for it"
        )
    if not 0 <= cap < math.inf:
        raise InputError(f"the merging cap is {cap:g}; use a finite number of 0 or more")


@dataclass(frozen=True, eq=False, kw_only=True)
class Settings:
    """Changes to a problem and how long to search; None = as in the problem.

    Parameters
    ----------
    minimize : tuple of str, optional
        Measures, the most important first.
    subject_to : mapping of str to float, optional
        Budgets on other measures.
    memory : float, optional
        Limit of every device, in the problem's memory unit.
    micro_batches : int, optional
    cluster : Cluster, optional
    time_limit : float
        Wall-clock seconds.
    merging : str
        One of :data:`MERGINGS`.
    merging_cap : float, optional
        Work a macro-operator may hold, in the time unit.
    """

    minimize: tuple[str, ...] | None = None
    subject_to: Mapping[str, float] | None = None
    memory: float | None = None
    micro_batches: int | None = None
    cluster: Cluster | None = None
    time_limit: float = TIME_LIMIT
    merging: str = "automatic"
    merging_cap: float | None = None

    def __post_init__(self) -> None:
        check_merging(self.merging, self.merging_cap)

    def apply(self, problem: Problem) -> Problem:
        """Return the problem with these settings.

        Raises
        ------
        InputError
            If a setting is out of range or does not go with the problem.
        NotApplicable
            If the number of micro-batches of this problem cannot change.
        """
        changed = problem
        if self.cluster is not None:
            changed = replace(changed, cluster=self.cluster)
        if self.micro_batches is not None:
            changed = with_micro_batches(changed, self.micro_batches)
        if self.memory is not None:
            changed = changed.with_memory(self.memory)
        given = problem.objective
        minimize = given.minimize if self.minimize is None else self.minimize
        budgets = given.subject_to if self.subject_to is None else self.subject_to
        changed = replace(changed, objective=Objective(minimize, budgets))
        check_problem(changed)
        return changed
