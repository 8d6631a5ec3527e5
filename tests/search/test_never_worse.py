"""A plan is never worse than the best expert schedule or heuristic, whatever the graph."""

from dataclasses import replace

import numpy as np
import pytest

from planner_core.baselines.list_scheduling import cpop, heft, list_schedules
from planner_core.problem import PlannerError, Problem, build_cluster
from planner_core.problem.clusters import homogeneous, mixed
from planner_core.search import Options, plan
from planner_core.search.experts import StageVariants, available_experts, run_expert
from planner_core.workloads import (
    deepseek_layer_pair,
    multimodal,
    random_layered,
    training,
    transformer,
    unet,
)


def experts(problem: Problem) -> dict[str, float]:
    """Makespan of every baseline that is a solution of the problem."""
    found = {}
    variants = StageVariants(problem)
    for name, _, reason in available_experts(problem):
        if reason is None:
            try:
                result = run_expert(name, problem, variants=variants)
            except PlannerError:
                continue
            if result.fits:
                found[name] = result.schedule.makespan
    return found


def unlike(problem: Problem) -> Problem:
    """The problem on two fast and two slow devices with links that cost something."""
    devices = [{"id": f"d{k}", "speed": 1.0 if k < 2 else 0.4} for k in range(4)]
    links = {"default": {"latency": 0.05, "bandwidth": 2000.0}}
    return replace(problem, cluster=build_cluster(devices, links))


def small_transformer(cluster, micro_batches):
    return training(transformer(2, 256, 4, 128, 1000, cluster=cluster), micro_batches=micro_batches)


PROBLEMS = {
    "random forward": lambda: random_layered(30, 4, seed=5),
    "random training, 4 micro-batches": lambda: training(
        random_layered(14, 3, seed=3), micro_batches=4
    ),
    "random training, unlike devices": lambda: training(
        unlike(random_layered(12, 4, seed=8)), micro_batches=4
    ),
    "transformer, 1 micro-batch": lambda: small_transformer(homogeneous(2), 1),
    "transformer, 6 micro-batches": lambda: small_transformer(homogeneous(4), 6),
    "transformer on two types": lambda: small_transformer(mixed({"H100": 2, "A100": 2}), 4),
    "multimodal": lambda: training(multimodal(cluster=homogeneous(4)), micro_batches=4),
    "U-Net": lambda: training(unet(cluster=homogeneous(3)), micro_batches=3),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_expert_and_no_list_schedule_is_better(name):
    problem = PROBLEMS[name]()
    rivals = experts(problem)
    rivals |= {method.__name__: method(problem).makespan for method in (heft, cpop)}
    assert len(rivals) >= 2
    found = plan(problem, Options(time_limit=6.0))
    best = min(rivals, key=rivals.get)
    assert found.value <= rivals[best] * (1 + 1e-9), best


@pytest.mark.parametrize("layers", [1, 8])
def test_exchanges_of_deepseek_layers_hide_behind_computation(layers):
    problem = deepseek_layer_pair(layers)
    found = plan(problem, Options(time_limit=12.0))
    best = min(schedule.makespan for _, schedule in list_schedules(problem))
    assert found.value <= best * (1 + 1e-9)
    # DeepSeek measures 32.3 ms for its own overlap of a layer pair.
    assert found.value / layers <= 32.3
    if layers == 1:
        assert found.status == "optimal"


def test_stages_are_derived_once_for_all_experts_of_a_placement():
    problem = training(random_layered(12, 3, seed=1), micro_batches=3)
    variants = StageVariants(problem)
    first = variants.of("linear", 1)
    assert variants.of("linear", 1) is first
    alone = run_expert("1f1b", problem)
    shared = run_expert("1f1b", problem, variants=variants)
    assert np.array_equal(alone.schedule.start, shared.schedule.start)
