"""Upper level: merge operators, choose stages and placement."""

from planner_core.merging.cells import Cells
from planner_core.merging.stages import derived_stages

__all__ = ["Cells", "derived_stages"]
