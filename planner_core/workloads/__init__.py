"""Generators of problems, and clusters to plan them on."""

from planner_core.problem.clusters import homogeneous, mixed, nodes, ring, two_level
from planner_core.problem.placements import PLACEMENTS, stage_devices
from planner_core.workloads.deepseek import LAYER_MS, deepseek_layer_pair
from planner_core.workloads.job_shop import job_shop, parse_job_shop
from planner_core.workloads.multimodal import multimodal
from planner_core.workloads.pipeline import pipeline
from planner_core.workloads.random_graphs import random_layered
from planner_core.workloads.splitting import tensor_parallel
from planner_core.workloads.training import adam_state_factor, training
from planner_core.workloads.transformer import transformer
from planner_core.workloads.unet import unet

__all__ = [
    "LAYER_MS",
    "PLACEMENTS",
    "adam_state_factor",
    "deepseek_layer_pair",
    "homogeneous",
    "job_shop",
    "mixed",
    "multimodal",
    "nodes",
    "parse_job_shop",
    "pipeline",
    "random_layered",
    "ring",
    "stage_devices",
    "tensor_parallel",
    "training",
    "transformer",
    "two_level",
    "unet",
]
