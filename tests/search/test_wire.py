import json

import numpy as np

from planner_core.baselines import run_baseline
from planner_core.formats.native import problem_document, problem_from_document
from planner_core.schedule import Plan
from planner_core.search.progress import ModelSize, Progress
from planner_core.search.wire import plan_document, plan_from, progress_document, progress_from
from planner_core.workloads import pipeline

PROBLEM = pipeline(4, 8, "bidirectional", transfer=0.5, memory=9)
SCHEDULE = run_baseline("dualpipe", PROBLEM, overlapped_pair=2.5).schedule


def same(a, b):
    for name in ("device", "start", "finish", "overlapped"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("tensor", "source", "target", "start", "finish"):
        np.testing.assert_array_equal(getattr(a.transfers, name), getattr(b.transfers, name))


def test_progress_survives_the_way():
    sent = Progress(
        phase="MIP",
        elapsed=1.5,
        incumbent=30.0,
        lower_bound=27.0,
        schedule=SCHEDULE,
        model_size=ModelSize(1, 2, 3),
    )
    got = progress_from(json.loads(json.dumps(progress_document(sent))))
    same(got.schedule, SCHEDULE)
    assert (got.phase, got.incumbent, got.lower_bound) == ("MIP", 30.0, 27.0)
    assert got.model_size == ModelSize(1, 2, 3)


def test_plan_survives_the_way():
    sent = Plan(problem=PROBLEM, status="infeasible", reason="too little memory")
    got = plan_from(json.loads(json.dumps(plan_document(sent))), PROBLEM)
    assert (got.status, got.reason, got.schedule) == ("infeasible", "too little memory", None)


def test_operator_numbers_mean_the_same_on_both_sides():
    for problem in (PROBLEM, pipeline(4, 8, "v", weights=2.0)):
        other = problem_from_document(json.loads(json.dumps(problem_document(problem))))
        assert list(other.graph.operator_ids) == list(problem.graph.operator_ids)
        assert list(other.graph.tensor_ids) == list(problem.graph.tensor_ids)
        assert other.cluster.device_ids == problem.cluster.device_ids
