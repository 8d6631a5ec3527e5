"""Plan how a deep-learning computation runs on many devices, and prove how good the plan is.

The names below are imported when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner_core.analysis.metrics import metrics
    from planner_core.baselines import run_baseline
    from planner_core.formats import read_problem_file as read_problem
    from planner_core.formats.plan_file import write_plan
    from planner_core.problem import Problem
    from planner_core.schedule import Plan, Schedule, simulate, validate
    from planner_core.search import Options, plan
    from planner_core.workloads import pipeline, training

_HOME = {
    "Options": "planner_core.search",
    "Plan": "planner_core.schedule",
    "Problem": "planner_core.problem",
    "Schedule": "planner_core.schedule",
    "metrics": "planner_core.analysis.metrics",
    "pipeline": "planner_core.workloads",
    "plan": "planner_core.search",
    "read_problem": "planner_core.formats",
    "run_baseline": "planner_core.baselines",
    "simulate": "planner_core.schedule",
    "training": "planner_core.workloads",
    "validate": "planner_core.schedule",
    "write_plan": "planner_core.formats.plan_file",
}
_NAME_THERE = {"read_problem": "read_problem_file"}

__all__ = [
    "Options",
    "Plan",
    "Problem",
    "Schedule",
    "metrics",
    "pipeline",
    "plan",
    "read_problem",
    "run_baseline",
    "simulate",
    "training",
    "validate",
    "write_plan",
]


def __getattr__(name: str) -> Any:
    """Import a public name from where it lives."""
    if name not in _HOME:
        raise AttributeError(f"module 'planner_core' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), _NAME_THERE.get(name, name))
