"""Exhaustive search of tiny problems agrees with trying every whole start time."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings

from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule import validate
from planner_core.search import Cancellation
from planner_core.search.settling import settle
from planner_core.search.state import Clock, SearchState
from tests.brute_force import placements, shorter_schedule
from tests.strategies import whole_problems

HORIZON = 9.0


def settled(problem: Problem) -> SearchState:
    state = SearchState(problem, "makespan", Clock.start(20.0), Cancellation())
    assert settle(state, 20.0)
    return state


@settings(max_examples=60, deadline=None)
@given(whole_problems(max_operators=5))
def test_agrees_with_brute_force(problem):
    assume(len(placements(problem)) <= 30)
    state = settled(problem)
    if state.schedule is not None:
        assert not validate(problem, state.schedule)
        assert state.optimal
    assert shorter_schedule(problem, min(state.value, HORIZON)) is None


def chain_and_rest(durations: list[float], memory: float | None) -> Problem:
    operators = [{"id": f"o{i}", "duration": d} for i, d in enumerate(durations)]
    tensors = [{"id": "t", "producer": "o0", "consumers": ["o1"], "size": 2.0}]
    tensors += [{"id": f"t{i}", "producer": f"o{i}", "consumers": [], "size": 2.0} for i in (2, 3)]
    devices = [{"id": f"d{k}", "memory": memory} for k in range(2)]
    return Problem(
        template=build_graph(operators, tensors),
        cluster=build_cluster(devices, {"default": {"latency": 0.0}}),
    )


def test_real_durations_are_exact():
    """1/3 + √2 on one device, π/2 + ¼ on the other."""
    problem = chain_and_rest([1 / 3, 2**0.5, np.pi / 2, 0.25], None)
    assert settled(problem).value == pytest.approx(np.pi / 2 + 0.25, rel=1e-12)


def test_memory_makes_operators_wait():
    """Two units hold one tensor per device: two chains of two on each."""
    assert settled(chain_and_rest([1.0, 1.0, 3.0, 3.0], None)).value == 4.0
    assert settled(chain_and_rest([1.0, 1.0, 3.0, 3.0], 2.0)).value == 5.0


def test_no_schedule_at_all_is_proved():
    """The output of the first stays on the only device, and the second needs the room."""
    problem = Problem(
        template=build_graph(
            [{"id": "a", "duration": 1.0}, {"id": "b", "duration": 1.0}],
            [
                {"id": "x", "producer": "a", "consumers": [], "size": 1.0, "output": True},
                {"id": "y", "producer": "b", "consumers": [], "size": 1.0, "output": True},
            ],
        ),
        cluster=build_cluster([{"id": "d", "memory": 1.0}]),
    )
    state = settled(problem)
    assert state.schedule is None
    assert state.bound == np.inf


def test_gives_up_on_what_is_not_tiny():
    problem = chain_and_rest([1.0] * 4, None)
    many = dataclasses.replace(problem, micro_batches=9)
    state = SearchState(many, "makespan", Clock.start(20.0), Cancellation())
    assert not settle(state, 20.0)
