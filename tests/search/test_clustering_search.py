"""Search over clusterings refuses only what no schedule has, and proves what transfers cost."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner_core.bounds import makespan_bounds
from planner_core.bounds.clustering import propagate, relax
from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule.columns import columns_of
from planner_core.search import Cancellation, Options, plan
from planner_core.search.branch_and_bound import branch_and_bound
from planner_core.search.clustering_search import Answer, _Search, search_clusterings
from planner_core.search.decoder import decode, empty_times, schedule_of
from planner_core.search.settling import settle
from planner_core.search.state import Clock, SearchState
from planner_core.workloads.random_graphs import random_layered
from planner_core.workloads.training import training
from planner_core.workloads.transformer import transformer
from tests.search.test_local_search import decided
from tests.strategies import problems

LAYERED = st.tuples(st.integers(2, 11), st.integers(1, 4), st.integers(0, 10**6))


def new_state(problem) -> SearchState:
    return SearchState(problem, "makespan", Clock.start(30.0), Cancellation())


def fork(width, transfer, devices=3):
    """A producer, ``width`` operators that may run side by side, and a consumer of them all."""
    names = [f"m{i}" for i in range(width)]
    operators = [{"id": name, "duration": 1.0} for name in ("a", *names, "z")]
    tensors = [{"id": "a", "producer": "a", "consumers": names, "transfer": transfer}]
    tensors += [
        {"id": name, "producer": name, "consumers": ["z"], "transfer": transfer} for name in names
    ]
    return Problem(
        template=build_graph(operators, tensors),
        cluster=build_cluster([{"id": f"d{k}"} for k in range(devices)]),
    )


@settings(max_examples=150, deadline=None)
@given(decided(), st.data())
def test_no_makespan_that_a_schedule_has_is_refused(case, data):
    problem, sequence, device = case
    columns = columns_of(problem)
    makespan = decode(columns, sequence, device, empty_times(columns))
    assume(np.isfinite(makespan))
    state = new_state(problem)
    few = data.draw(st.sampled_from([1, 3, 10**6]))
    assert _Search(state, 30.0, lambda: False).ask(makespan, few) is not Answer.REFUSED
    assert state.bound == 0.0


@settings(max_examples=60, deadline=None)
@given(problems(max_operators=6, max_devices=3, micro_batches=False, linked=False))
def test_the_bound_is_no_higher_than_the_optimum(problem):
    exact, state = new_state(problem), new_state(problem)
    assume(settle(exact, 3.0) and exact.schedule is not None)
    state.offer(exact.schedule, "settling")
    search_clusterings(state, 5.0)
    assert state.bound <= exact.value * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(LAYERED, st.floats(0.0, 40.0))
def test_agrees_with_branch_and_bound(drawn, size):
    operators, devices, seed = drawn
    problem = random_layered(operators, devices, seed=seed, size=(0.0, size))
    exact, state = new_state(problem), new_state(problem)
    assert branch_and_bound(exact, 30.0)
    state.offer(exact.schedule, "branch and bound")
    proved = search_clusterings(state, 5.0)
    assert proved == state.optimal
    assert state.bound <= exact.value * (1 + 1e-9)


@pytest.mark.parametrize("transfer", [0.0, 0.5, 1.0, 1.5, 2.0, 9.0])
def test_what_a_fork_costs(transfer):
    """Of six operators between two others, those sent away wait for two transfers."""
    width = 6
    stay = np.arange(width + 1)
    away = np.where(stay < width, 3 + 2 * transfer, 0.0)
    optimum = np.maximum(2 + stay, away).min()  # a device for each that is sent away
    state = new_state(fork(width, transfer, devices=8))
    assert branch_and_bound(state, 30.0)
    assert state.value == pytest.approx(optimum)
    state.bound = 0.0
    assert search_clusterings(state, 5.0)
    assert state.proved_by == "search over clusterings"
    # With three devices some of them queue, which clusterings do not see.
    few = new_state(fork(width, transfer))
    assert branch_and_bound(few, 30.0)
    few.bound = 0.0
    search_clusterings(few, 5.0)
    assert optimum * (1 - 2e-3) <= few.bound <= optimum * (1 + 1e-9)


def test_a_busy_device_is_not_its_business():
    """Nothing is exchanged, so nothing can be refused; the search ends all the same."""
    problem = random_layered(12, 2, seed=3, size=(0.0, 0.0))
    state = new_state(problem)
    for bound in makespan_bounds(problem):
        state.raise_bound(bound.value, bound.name)
    columns = columns_of(problem)
    times, device = empty_times(columns), np.zeros(12, np.int32)
    decode(columns, columns.topological, device, times)
    state.offer(schedule_of(problem, columns, device, times), "serial")
    before = state.bound
    assert not search_clusterings(state, 30.0)
    assert state.bound == before
    assert state.clock.remaining > 10


def test_fixed_devices_are_together_or_apart():
    operators = [
        {"id": "a", "duration": 1.0, "devices": ["d0"]},
        {"id": "b", "duration": 1.0, "devices": ["d1"]},
        {"id": "c", "duration": 1.0, "devices": ["d1"]},
        {"id": "e", "duration": 1.0},
    ]
    tensors = [
        {"id": "ab", "producer": "a", "consumers": ["b", "e"], "transfer": 3.0},
    ]
    problem = Problem(
        template=build_graph(operators, tensors),
        cluster=build_cluster([{"id": "d0"}, {"id": "d1"}]),
    )
    relaxation, clustering = relax(problem)
    a, b, c, _ = clustering.cluster
    assert b == c != a
    assert clustering.apart[a, b]
    branch = np.zeros(2, np.int32)
    assert propagate(relaxation, clustering.copy(), 4.9, branch) == -1
    assert propagate(relaxation, clustering.copy(), 5.0, branch) >= 0


def test_a_transformer_in_training_is_proved_optimal():
    problem = training(transformer(2, 256, 4, 128, 1000, experts=8))
    problem = problem.with_memory(np.full(problem.n_devices, np.inf))
    found = plan(problem, Options(time_limit=20.0))
    assert problem.graph.n_operators > 40
    assert found.status == "optimal"
    assert found.proved_by == "search over clusterings"
