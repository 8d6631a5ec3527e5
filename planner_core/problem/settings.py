"""What a user sets beside a problem; together with it, a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from planner_core.problem.checks import check_problem
from planner_core.problem.cluster import Cluster
from planner_core.problem.micro_batches import with_micro_batches
from planner_core.problem.objective import Objective
from planner_core.problem.problem import Problem

TIME_LIMIT = 30.0
"""Seconds a search takes unless told otherwise."""


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
    """

    minimize: tuple[str, ...] | None = None
    subject_to: Mapping[str, float] | None = None
    memory: float | None = None
    micro_batches: int | None = None
    cluster: Cluster | None = None
    time_limit: float = TIME_LIMIT

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
