"""List schedulers as records for the registry: they need no pipeline."""

from __future__ import annotations

from collections.abc import Callable

from planner_core.baselines.registry import Baseline, Scheduler
from planner_core.problem import Problem
from planner_core.schedule import Schedule


def _method(name: str) -> Scheduler:
    def schedule(problem: Problem) -> tuple[Problem, Schedule]:
        # Imported here: compiling the list schedulers takes longer than most commands.
        from planner_core.baselines import list_scheduling

        method: Callable[[Problem], Schedule] = getattr(list_scheduling, name)
        return problem, method(problem)

    return schedule


def _always(problem: Problem) -> bool:
    return True


GENERAL_BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="heft",
        title="HEFT",
        reference="Topcuoglu, Hariri and Wu 2002, IEEE TPDS 13(3)",
        schedule=_method("heft"),
        applies=_always,
    ),
    Baseline(
        name="cpop",
        title="CPOP",
        reference="Topcuoglu, Hariri and Wu 2002, IEEE TPDS 13(3)",
        schedule=_method("cpop"),
        applies=_always,
    ),
)
