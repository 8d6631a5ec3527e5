"""Lower bounds, valid for the exact durations."""

from planner_core.bounds.bound import Bound
from planner_core.bounds.measures import (
    makespan_bound,
    makespan_bounds,
    peak_memory_bound,
    period_bound,
    transfer_bound,
)
from planner_core.bounds.memory import memory_infeasible
from planner_core.bounds.paths import heads_and_tails

__all__ = [
    "Bound",
    "heads_and_tails",
    "makespan_bound",
    "makespan_bounds",
    "memory_infeasible",
    "peak_memory_bound",
    "period_bound",
    "transfer_bound",
]
