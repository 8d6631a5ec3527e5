"""Lexicographic lists, budgets on other measures, and memory moved."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner_core.problem import MEASURES, Objective, Problem, build_cluster, build_graph
from planner_core.schedule import measure, validate
from planner_core.search import Options, plan
from planner_core.workloads.pipeline import pipeline
from tests.strategies import problems

LIMIT = Options(time_limit=10.0)


def fork(**devices: float) -> Problem:
    """One producer, two consumers of unequal inputs, two devices joined by a slow link."""
    operators = [{"id": name, "duration": 4.0} for name in ("a", "b", "c")]
    tensors = [
        {"id": "ab", "producer": "a", "consumers": ["b"], "size": 2.0},
        {"id": "ac", "producer": "a", "consumers": ["c"], "size": 1.0},
    ]
    return Problem(
        template=build_graph(operators, tensors, []),
        cluster=build_cluster(
            [{"id": "d0", **devices}, {"id": "d1", **devices}],
            {"default": {"latency": 0, "bandwidth": 1.0}},
        ),
    )


def value(problem: Problem, minimize: tuple[str, ...], **subject_to: float) -> float:
    found = plan(replace(problem, objective=Objective(minimize, subject_to)), LIMIT)
    assert found.status == "optimal", found
    return found.value


def test_each_measure_alone_and_under_a_budget_on_another():
    problem = fork()
    assert value(problem, ("makespan",)) == 9.0  # c after a transfer of 1, beside b
    assert value(problem, ("transfer",)) == 0.0
    assert value(problem, ("transfer",), makespan=11.0) == 1.0
    assert value(problem, ("transfer",), period=8.0) == 1.0
    assert value(problem, ("period",)) == 8.0
    assert value(problem, ("period",), transfer=0.0) == 12.0
    assert value(problem, ("period",), makespan=9.5) == 8.0


def test_makespan_under_budgets_the_placement_decides():
    problem = fork()
    for budgets in ({"transfer": 0.0}, {"period": 12.0, "transfer": 0.5}):
        goal = Objective(("makespan",), budgets)
        found = plan(replace(problem, objective=goal), LIMIT)
        assert (found.status, found.value) == ("optimal", 12.0)
        assert not validate(found.problem, found.schedule)


def test_the_second_measure_is_minimised_under_the_first():
    """The shortest schedule moves 1; of all with no more, the least memory is then known."""
    problem = replace(fork(), objective=Objective(("makespan", "transfer")))
    found = plan(problem, LIMIT)
    assert (found.status, found.value) == ("optimal", 9.0)
    assert measure("transfer", problem, found.schedule) == 1.0
    problem = replace(fork(), objective=Objective(("transfer", "makespan")))
    found = plan(problem, LIMIT)
    assert (found.status, found.value, found.makespan) == ("optimal", 0.0, 12.0)


def test_makespan_then_memory_of_a_pipeline():
    problem = pipeline(4, 6, placement="bidirectional", released_by_input=1.0)
    alone = plan(problem, LIMIT)
    both = plan(replace(problem, objective=Objective(("makespan", "peak_memory"))), LIMIT)
    assert both.value == alone.value
    goal = Objective(("peak_memory",), {"makespan": alone.value})
    least = plan(replace(problem, objective=goal), LIMIT)
    assert measure("peak_memory", problem, both.schedule) == least.value
    assert both.status == least.status


def test_later_measures_tell_of_the_first():
    events = []
    problem = replace(fork(), objective=Objective(("makespan", "transfer")))
    plan(problem, LIMIT, on_progress=events.append)
    later = [event for event in events if event.phase.startswith("then transfer")]
    assert later
    assert {event.incumbent for event in later} == {9.0}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    problem=problems(max_operators=5, linked=False),
    names=st.permutations(MEASURES).flatmap(
        lambda row: st.integers(1, 3).map(lambda n: (tuple(row[:n]), row[n]))
    ),
    factor=st.sampled_from([0.9, 1.0, 1.3]),
)
def test_every_answer_keeps_every_rule_and_budget(problem, names, factor):
    minimize, budgeted = names
    free = plan(replace(problem, objective=Objective((budgeted,))), Options(time_limit=2.0))
    if free.value is None or not np.isfinite(free.value):
        return
    goal = Objective(minimize, {budgeted: factor * free.value})
    found = plan(replace(problem, objective=goal), Options(time_limit=3.0))
    if found.schedule is not None:
        assert not validate(found.problem, found.schedule)
        assert found.value == pytest.approx(measure(minimize[0], found.problem, found.schedule))
        assert found.lower_bound <= found.value * (1 + 1e-9)
    if found.status == "infeasible" and problem.micro_batches == 1:
        assert factor < 1
