"""The assignment formulation against all assignments of tiny problems."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from planner_core.bounds.packing import packing_bound
from planner_core.milp.driver import compile_model, solve
from planner_core.milp.max_load import AssignmentModel, Question, distinct
from planner_core.milp.pieces import pieces_of
from planner_core.problem import InputError, Objective, Problem, build_cluster, build_graph
from planner_core.schedule import compile_tasks, micro_batch_count, period, transfer_volume
from planner_core.workloads.pipeline import pipeline
from tests.brute_force import placements
from tests.strategies import problems

FAR = 1e18


def answer(pieces, question):
    """Optimum and device of every piece, or None if there is no assignment."""
    model = AssignmentModel(pieces, question)
    if model.decided:
        return None
    result = solve(compile_model(model.model), deadline=FAR, presolve=True)
    if result.status == "infeasible":
        return None
    assert result.status == "optimal"
    return result.bound, model.device(result.values)


def values(problem: Problem) -> list[tuple[float, float]]:
    """Load and volume of every placement with links for all transfers."""
    rows = []
    for device in placements(problem):
        try:
            tasks = compile_tasks(problem, device)
        except InputError:
            continue
        schedule = tasks.schedule(np.zeros(tasks.n_tasks))
        load = period(problem, schedule) * micro_batch_count(problem)
        rows.append((load, transfer_volume(problem, schedule)))
    return rows


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=problems(max_operators=4, limited=False, linked=False, micro_batches=False))
def test_optimum_is_the_best_of_all_placements(problem):
    pieces = pieces_of(problem)
    known = values(problem)
    for goal, column in (("load", 0), ("volume", 1)):
        found = answer(pieces, Question(goal=goal))
        if not known:
            assert found is None
            continue
        value, device = found
        assert value == pytest.approx(min(row[column] for row in known), rel=1e-6, abs=1e-6)
        tasks = compile_tasks(problem, pieces.operators(device))
        schedule = tasks.schedule(np.zeros(tasks.n_tasks))
        reached = (
            period(problem, schedule) * micro_batch_count(problem)
            if goal == "load"
            else transfer_volume(problem, schedule)
        )
        assert reached == pytest.approx(value, rel=1e-6, abs=1e-6)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=problems(max_operators=4, limited=False, micro_batches=False))
def test_a_budget_on_the_volume_is_kept(problem):
    known = values(problem)
    budget = float(np.median([volume for _, volume in known]))
    value, _ = answer(pieces_of(problem), Question(volume=budget))
    best = min(load for load, volume in known if volume <= budget * (1 + 1e-9))
    assert value == pytest.approx(best, rel=1e-6, abs=1e-6)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=problems(max_operators=5, limited=False, micro_batches=False, staged=False))
def test_packing_bound_never_exceeds_the_best_load(problem):
    pieces = pieces_of(problem)
    known = values(problem)
    best = min(load for load, _ in known)
    for stream in range(pieces.load.shape[1]):
        bound = packing_bound(pieces.load[:, stream], 0.0, best * 2 + 1, FAR)
        assert bound <= best * (1 + 1e-9)


def test_packing_bound_counts_what_cannot_be_divided():
    """Seven pieces of 1 on three devices: three on one of them, not 7 / 3."""
    bound = packing_bound(np.ones((7, 3)), 7 / 3, 7.0, FAR)
    assert bound == pytest.approx(3.0, rel=1e-3)
    assert bound <= 3.0


def machines(durations: list[float], count: int, **options: object) -> Problem:
    operators = [{"id": f"o{i}", "duration": d, **options} for i, d in enumerate(durations)]
    return Problem(
        template=build_graph(operators, [], []),
        cluster=build_cluster([{"id": f"d{k}"} for k in range(count)]),
        objective=Objective(("period",)),
    )


def test_symmetry_keeps_the_heaviest_pieces_first():
    pieces = pieces_of(machines([1.0, 3.0, 2.0, 4.0], 3))
    keep = distinct(pieces)
    assert [keep[u].sum() for u in (3, 1, 2, 0)] == [1, 2, 3, 3]
    renamed = pieces.renamed(np.array([0, 1, 0, 2]))
    assert renamed.tolist() == [2, 1, 2, 0]
    assert keep[np.arange(4), renamed].all()


def test_a_forbidden_assignment_is_left_out():
    pieces = pieces_of(machines([2.0, 1.0], 2))
    value, device = answer(pieces, Question())
    assert value == pytest.approx(2.0)
    other = answer(pieces, Question(forbidden=(device,)))
    assert other[0] == pytest.approx(3.0)


def test_pieces_move_together():
    colocated = pieces_of(machines([1.0, 2.0, 3.0], 2, colocate="all"))
    assert colocated.count == 1
    assert colocated.load[0, 0].tolist() == [6.0, 6.0]
    placed = pieces_of(pipeline(4, 3))
    assert placed.count == 4
    assert np.isfinite(placed.load[:, 0]).sum() == 4


def test_memory_rows_count_what_is_held_at_once():
    """Weights and outputs of 3 each need 6 on one device; each alone needs 3 + its output."""
    operators = [{"id": f"o{i}", "duration": 1.0, "parameters": [f"w{i}"]} for i in range(2)]
    tensors = [
        {"id": f"t{i}", "producer": f"o{i}", "consumers": [], "size": 1.0, "output": True}
        for i in range(2)
    ]
    groups = [{"id": f"w{i}", "size": 2.0} for i in range(2)]
    problem = Problem(
        template=build_graph(operators, tensors, groups),
        cluster=build_cluster([{"id": "a", "memory": 6.0}, {"id": "b", "memory": 2.5}]),
    )
    value, device = answer(pieces_of(problem), Question())
    assert (value, device.tolist()) == (pytest.approx(2.0), [0, 0])
    assert answer(pieces_of(problem.with_memory([5.5, 2.5])), Question()) is None
    even = answer(pieces_of(replace(problem, cluster=problem.with_memory(3.0).cluster)), Question())
    assert even[0] == pytest.approx(1.0)
