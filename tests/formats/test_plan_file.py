"""The plan file: round trips, and every false claim is found."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from planner_core.formats.json_text import dump_object
from planner_core.formats.plan_file import (
    check_plan,
    parse_plan,
    plan_document,
    plan_from_document,
    read_plan,
    write_plan,
)
from planner_core.problem import InputError, Objective
from planner_core.schedule import Plan, measure, simulate, validate
from planner_core.workloads import pipeline
from tests.strategies import scheduled


def a_plan(bound=None, status="feasible", objective=None, **changes) -> Plan:
    problem = pipeline(2, 2, transfer=0.5, memory=4, **changes)
    if objective is not None:
        problem = replace(problem, objective=objective)
    names = problem.graph.operator_index
    rows = [
        ["F0@0", "F0@1", "I0@0", "W0@0", "I0@1", "W0@1"],
        ["F1@0", "I1@0", "F1@1", "I1@1", "W1@0", "W1@1"],
    ]
    if problem.graph is problem.template:
        rows = [["F0", "I0", "W0"], ["F1", "I1", "W1"]]
    order = [[names[name] for name in row] for row in rows]
    schedule = simulate(problem, problem.fixed_device, order)
    value = measure(problem.objective.primary, problem, schedule)
    return Plan(
        problem=problem,
        status=status,
        schedule=schedule,
        value=value,
        lower_bound=value if bound is None else bound,
        proved_by="device load bound",
        found_by="hand",
        seconds=1.23456,
    )


def document_of(plan) -> dict:
    return parse_plan(dump_object(plan_document(plan)))


def check(plan, change=lambda document: None) -> list[str]:
    document = copy.deepcopy(document_of(plan))
    change(document)
    return [str(violation) for violation in check_plan(document, plan.problem)]


def test_what_is_written():
    document = document_of(a_plan(bound=7.0))
    assert document["format"] == "parallelism-plan/1"
    assert document["status"] == "feasible"
    assert document["makespan"] == document["objective"]["value"] == 8.0
    assert document["objective"]["gap"] == pytest.approx(1 / 8)
    assert document["seconds"] == 1.235
    assert document["devices"][0] == {
        "id": "gpu0",
        "busy": 6.0,
        "idle": 2.0,
        "peak_memory": 2.0,
        "memory": 4.0,
    }
    assert document["operators"][0] == {
        "id": "F0@0",
        "device": "gpu0",
        "start": 0.0,
        "finish": 1.0,
    }
    assert document["transfers"][0]["finish"] == 1.5
    assert "period" not in document


@settings(max_examples=100, deadline=None)
@given(scheduled())
def test_round_trip(drawn):
    problem, schedule = drawn
    value = schedule.makespan
    plan = Plan(problem=problem, status="feasible", schedule=schedule, value=value, lower_bound=0.0)
    document = document_of(plan)
    again = plan_from_document(document, problem)
    assert plan_document(again) == plan_document(plan)
    np.testing.assert_array_equal(again.schedule.start, schedule.start)
    assert check_plan(document, problem) == validate(problem, schedule)


def test_files(tmp_path):
    plan = a_plan()
    write_plan(plan, tmp_path / "plan.json")
    again = read_plan(tmp_path / "plan.json", plan.problem)
    assert again.makespan == 8.0
    assert again.proved_by == "device load bound"
    with pytest.raises(InputError, match="cannot write"):
        write_plan(plan, tmp_path / "none" / "plan.json")


def test_a_true_plan_has_no_violations():
    assert check(a_plan()) == []
    assert check(a_plan(bound=7.5)) == []
    assert check(a_plan(status="optimal")) == []


def test_a_plan_for_the_period_carries_it():
    plan = a_plan(objective=Objective(("period",)))
    document = document_of(plan)
    assert document["period"] == 3.0
    assert check(plan) == []
    assert check(plan, lambda d: d.update(period=2.0)) == [
        "claim: the period is given as 2; it is 3"
    ]


def in_objective(**changes):
    return lambda document: document["objective"].update(changes)


def in_device(**changes):
    return lambda document: document["devices"][1].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(makespan=7.0), "the makespan is given as 7; it is 8"),
        (lambda d: d.pop("makespan"), "the makespan is missing; it is 8"),
        (in_objective(value=7.0), "the objective value is given as 7; it is 8"),
        (in_objective(lower_bound=10.0), "the lower bound 10 is above the value 8"),
        (in_objective(lower_bound=4.0), "the gap is given as 0; it is 0.5"),
        (in_objective(gap=0.25), "the gap is given as 0.25; it is 0"),
        (in_objective(minimize="transfer"), "the plan minimises transfer; the problem says"),
        (in_device(busy=5.0), "the busy time of device 'gpu1' is given as 5; it is 6"),
        (in_device(idle=0.0), "the idle time of device 'gpu1' is given as 0; it is 2"),
        (in_device(peak_memory=1.0), "the peak memory of device 'gpu1' is given as 1; it is 2"),
        (in_device(memory=9.0), "the memory limit of device 'gpu1' is given as 9; it is 4"),
        (in_device(memory=None), "the memory limit of device 'gpu1' is given as inf; it is 4"),
        (lambda d: d["devices"].pop(), "device 'gpu1' is missing among the plan's devices"),
        (in_device(id="gpu7"), "the plan lists device 'gpu7', which does not exist"),
        (lambda d: d.update(problem="another"), "the plan is of problem 'another', not of"),
        (lambda d: d.update(status="unknown"), "the status is unknown, but there is a schedule"),
    ],
)
def test_a_false_claim_is_found(change, message):
    found = check(a_plan(), change)
    assert any(f"claim: {message}" in line for line in found), found


def test_optimal_needs_a_bound_that_meets_the_value():
    assert "the status is optimal, but the value is 8 and the bound is 7" in "\n".join(
        check(a_plan(bound=7.0, status="optimal"))
    )
    assert "the bound is missing" in "\n".join(
        check(a_plan(status="optimal"), in_objective(lower_bound=None, gap=None))
    )


def test_rules_and_claims_are_reported_together():
    def change(document):
        document["operators"][0]["start"] = 0.5
        document["makespan"] = 1.0

    found = check(a_plan(), change)
    assert any(line.startswith("duration: operator 'F0@0'") for line in found)
    assert any(line.startswith("claim: the makespan") for line in found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["operators"].pop(3), "operator 'I0@0' does not run"),
        (lambda d: d["operators"][0].update(id="Z"), "the problem has no operator 'Z'"),
        (lambda d: d["operators"].append(d["operators"][0]), "operator 'F0@0' runs twice"),
        (lambda d: d["operators"][0].update(device="tpu"), "on device 'tpu', which does not exist"),
        (lambda d: d["transfers"][0].update(tensor="q"), "the problem has no tensor 'q'"),
        (lambda d: d["transfers"][0].update(target="tpu"), "names device 'tpu', which does not"),
    ],
)
def test_names_that_do_not_exist(change, message):
    plan = a_plan()
    document = document_of(plan)
    if message.startswith("operator 'I0@0'"):
        message = f"operator '{document['operators'][3]['id']}' does not run"
    change(document)
    found = [str(violation) for violation in check_plan(document, plan.problem)]
    assert any(message in line for line in found), found
    with pytest.raises(InputError):
        plan_from_document(document, plan.problem)


def test_every_name_that_is_missing_is_listed():
    plan = a_plan()
    document = document_of(plan)
    del document["operators"][2:]
    assert len(check_plan(document, plan.problem)) == 10


def test_a_plan_without_a_schedule():
    problem = a_plan().problem
    nothing = Plan(problem=problem, status="infeasible", reason="gpu0 needs at least 5")
    document = document_of(nothing)
    assert document["reason"] == "gpu0 needs at least 5"
    assert "operators" not in document
    assert check_plan(document, problem) == []
    again = plan_from_document(document, problem)
    assert (again.status, again.schedule) == ("infeasible", None)
    document["status"], document["makespan"] = "optimal", 9.0
    assert [v.rule for v in check_plan(document, problem)] == ["claim", "claim"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(status="best"), "the file has status 'best'; it must be one of"),
        (
            lambda d: d["operators"][0].update(start=float("nan")),
            "operator 'F0@0' has start nan; it must be a finite number",
        ),
        (lambda d: d["operators"][0].pop("finish"), "operator 'F0@0' has no finish; add it"),
        (lambda d: d["transfers"][0].pop("start"), "the transfer of 'x0@0' has no start; add it"),
        (lambda d: d.update(format="parallelism-problem/1"), "reads plan files of format"),
        (lambda d: d["devices"][0].update(colour=1), "device 'gpu0' has the unknown key 'colour'"),
    ],
)
def test_a_file_of_the_wrong_shape(change, message):
    document = plan_document(a_plan())
    change(document)
    with pytest.raises(InputError) as caught:
        # NaN passes the JSON parser; the schema refuses it
        parse_plan(json.dumps(document))
    assert message in str(caught.value)
