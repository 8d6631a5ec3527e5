"""Alternatives of operators: the best of all choices on tiny problems, a real Piper file."""

from itertools import product
from pathlib import Path

import pytest

from planner_core.formats.piper import parse_alternatives
from planner_core.problem import Objective, Problem, build_cluster, build_graph
from planner_core.problem.alternatives import Alternative, SplitProblem
from planner_core.schedule import validate
from planner_core.search import Options, plan
from planner_core.search.alternatives import plan_split, split_bound

PIPER = Path(__file__).parents[3] / "shared" / "reference" / "piper_bert32_a100.json"
LIMIT = Options(time_limit=8.0)


def split_chain(objective: str, *, memory: float | None = None) -> SplitProblem:
    """Three operators in a row on two devices; the second is long and may be split in two."""
    problem = Problem(
        template=build_graph(
            [
                {"id": "a", "duration": 2.0},
                {"id": "b", "duration": 8.0, "parameters": ["w"]},
                {"id": "c", "duration": 2.0},
            ],
            [
                {"id": "ab", "producer": "a", "consumers": ["b"], "size": 1.0},
                {"id": "bc", "producer": "b", "consumers": ["c"], "size": 1.0},
            ],
            [{"id": "w", "size": 6.0}],
        ),
        cluster=build_cluster([{"id": f"d{k}", "memory": memory} for k in range(2)]),
        objective=Objective((objective,)),
    )
    ways = {
        "b": [
            Alternative(id="whole", duration=8.0),
            Alternative(id="halves", duration=4.5, shards=2, collective=0.25),
        ],
        "c": [Alternative(id="fast", duration=2.0), Alternative(id="slow", duration=3.0)],
    }
    return SplitProblem(problem=problem, alternatives=ways)


@pytest.mark.parametrize("objective", ["makespan", "period"])
def test_the_best_of_all_choices_is_found(objective):
    split = split_chain(objective)
    best = min(
        plan(split.expand({"b": b, "c": c}), LIMIT).value
        for b, c in product(("whole", "halves"), ("fast", "slow"))
    )
    found = plan_split(split, LIMIT)
    assert found.plan.value == best
    assert found.choice == {"b": "halves", "c": "fast"}
    assert not validate(found.plan.problem, found.plan.schedule)
    assert found.plan.lower_bound <= best


def test_an_operator_is_split_where_its_weights_do_not_fit():
    split = split_chain("transfer", memory=6.0)
    found = plan_split(split, LIMIT)
    assert found.choice["b"] == "halves"
    assert not validate(found.plan.problem, found.plan.schedule)
    assert plan_split(split_chain("transfer", memory=9.0), LIMIT).choice["b"] == "whole"


def test_nothing_is_claimed_of_choices_not_tried():
    found = plan_split(split_chain("period", memory=1.0), LIMIT)
    assert found.plan.status == "unknown"
    assert "no choice of alternatives tried" in found.plan.reason


def test_the_bound_holds_for_every_choice():
    split = split_chain("period")
    bound = split_bound(split)
    assert bound == pytest.approx(12.0 / 2)
    for b, c in product(("whole", "halves"), ("fast", "slow")):
        assert plan(split.expand({"b": b, "c": c}), LIMIT).value >= bound


def test_one_choice_keeps_its_proof():
    split = split_chain("period")
    single = SplitProblem(problem=split.problem, alternatives={"b": [split.alternatives["b"][0]]})
    assert plan_split(single, LIMIT).plan.status == "optimal"


@pytest.mark.skipif(not PIPER.exists(), reason="the Piper file is not here")
def test_a_piper_file_is_planned_no_worse_than_unsplit():
    split = parse_alternatives(PIPER.read_bytes())
    whole = plan(split.problem, Options(time_limit=5.0))
    found = plan_split(split, Options(time_limit=15.0))
    assert found.plan.value <= whole.value * (1 + 1e-9)
    assert found.plan.lower_bound >= 0.9 * split_bound(split)
    assert set(found.choice) == set(split.alternatives)
    assert not validate(found.plan.problem, found.plan.schedule)
