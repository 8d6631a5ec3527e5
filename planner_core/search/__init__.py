"""How the pieces make a plan: portfolio, horizon search, local search, progress, cancellation."""

from planner_core.search.planner import plan
from planner_core.search.progress import Cancellation, ModelSize, OnProgress, Options, Progress

__all__ = ["Cancellation", "ModelSize", "OnProgress", "Options", "Progress", "plan"]
