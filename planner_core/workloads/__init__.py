"""Generators of problems."""

from planner_core.workloads.pipeline import PLACEMENTS, pipeline, stage_devices

__all__ = ["PLACEMENTS", "pipeline", "stage_devices"]
