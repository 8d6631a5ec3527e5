"""Generators of problems."""

from planner_core.workloads.job_shop import job_shop, parse_job_shop
from planner_core.workloads.pipeline import PLACEMENTS, pipeline, stage_devices

__all__ = ["PLACEMENTS", "job_shop", "parse_job_shop", "pipeline", "stage_devices"]
