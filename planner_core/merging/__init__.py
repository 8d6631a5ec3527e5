"""Upper level: merge operators, choose stages and placement."""

from planner_core.merging.stages import derived_stages

__all__ = ["derived_stages"]
