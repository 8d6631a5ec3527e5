import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from planner_core.baselines.list_scheduling import heft, list_schedules
from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule import Schedule, compile_tasks, simulate, validate
from planner_core.schedule.columns import columns_of
from planner_core.schedule.safe_order import task_columns
from planner_core.search import local_search
from planner_core.search.decoder import decode, empty_times, schedule_of
from planner_core.search.evaluation import tails
from planner_core.search.held_memory import fits_memory
from planner_core.search.local_search import improve
from planner_core.search.sequences import fillers, holds_follow_order
from planner_core.workloads.pipeline import pipeline
from planner_core.workloads.random_graphs import random_layered
from tests.strategies import problems

PROPERTY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def soon(seconds: float = 0.15) -> float:
    return time.monotonic() + seconds


@st.composite
def decided(draw, **options):
    """Return a problem, a topological sequence and a device for every operator."""
    problem = draw(problems(**options))
    graph, random = problem.graph, np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    device = np.array(
        [random.choice(np.flatnonzero(np.isfinite(row))) for row in problem.durations], np.int32
    )
    for group in range(len(graph.colocation_names)):
        members = np.flatnonzero(graph.colocation == group)
        if len(members):
            common = np.isfinite(problem.durations[members]).all(axis=0)
            device[members] = random.choice(np.flatnonzero(common))
    rank = random.random(graph.n_operators)
    for o in graph.topological_order:  # raise each above its producers
        inputs = graph.edge_source[graph.edge_target == o]
        rank[o] += rank[inputs].max(initial=0.0)
    return problem, np.argsort(rank, kind="stable").astype(np.int32), device


@given(decided())
@PROPERTY
def test_decoded_times_keep_every_rule_and_memory_is_judged_exactly(case):
    problem, sequence, device = case
    columns = columns_of(problem)
    times = empty_times(columns)
    makespan = decode(columns, sequence, device, times)
    schedule = schedule_of(problem, columns, device, times)
    assert schedule.makespan == pytest.approx(makespan)
    rules = {v.rule for v in validate(problem, schedule)}
    assert rules <= {"memory"}
    assert fits_memory(columns, device, times) == (not rules)


@given(decided(staged=False, exclusive=False))
@PROPERTY
def test_the_longest_tail_is_the_makespan(case):
    problem, sequence, device = case
    columns = columns_of(problem)
    makespan = decode(columns, sequence, device, empty_times(columns))
    tail, stream_tail = tails(columns, sequence, device, 1)
    assert tail.max() == pytest.approx(makespan)
    assert stream_tail[0].max() == pytest.approx(makespan)


@given(problem=problems(), seed=st.integers(0, 9))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_never_worse_and_always_valid(problem, seed):
    schedules = [schedule for _, schedule in list_schedules(problem)]
    assume(schedules)
    start = max(schedules, key=lambda schedule: schedule.makespan)
    heard: list[Schedule] = []
    result = improve(problem, start, deadline=soon(), seed=seed, on_improve=heard.append)
    assert not validate(problem, result)
    assert result.makespan <= start.makespan
    for earlier, later in zip([start, *heard], heard, strict=False):
        assert later.makespan < earlier.makespan
        assert not validate(problem, later)
    assert result is (heard[-1] if heard else start)


def test_finds_the_optimum_of_a_small_graph():
    # Two chains of 3 + 3 and four single operators of 1: two devices, 8 each, no transfer needed.
    chains = [(f"{c}{i}", 3.0) for c in "ab" for i in range(2)]
    problem = Problem(
        template=build_graph(
            [{"id": i, "duration": d} for i, d in [*chains, *((f"s{i}", 1.0) for i in range(4))]],
            [
                {"id": f"t{c}", "producer": f"{c}0", "consumers": [f"{c}1"], "transfer": 5.0}
                for c in "ab"
            ],
        ),
        cluster=build_cluster([{"id": "d0"}, {"id": "d1"}]),
    )
    serial = simulate(problem, np.zeros(8, np.int32), [list(range(8)), []])
    assert improve(problem, serial, deadline=soon(10), target=8.0).makespan == 8.0


@pytest.mark.parametrize("memory", [9, 6])
def test_pipeline_with_equal_costs_meets_the_bound(memory):
    problem = pipeline(8, 20, "bidirectional", memory=memory, released_by_input=1.0)
    target = 63 if memory >= 8 else 71 - memory
    result = improve(problem, heft(problem), deadline=soon(60), target=target)
    assert result.makespan == target
    assert not validate(problem, result)


def test_window_by_window(monkeypatch):
    monkeypatch.setattr(local_search, "WHOLE_OPERATORS", 20)
    monkeypatch.setattr(local_search, "WINDOW_OPERATORS", 20)
    problem = random_layered(80, 4, seed=3)
    order = problem.graph.topological_order.tolist()
    device = np.arange(80, dtype=np.int32) % 4
    start = simulate(problem, device, [[o for o in order if device[o] == k] for k in range(4)])
    target = 0.9 * start.makespan
    result = improve(problem, start, deadline=soon(60), target=target)
    assert result.makespan <= target
    assert not validate(problem, result)


def test_stops_at_once_when_told():
    problem = random_layered(60, 4, seed=1)
    start = heft(problem)
    assert improve(problem, start, deadline=soon(60), cancelled=lambda: True) is start
    assert improve(problem, start, deadline=soon(60), target=start.makespan) is start
    assert improve(problem, start, deadline=time.monotonic()) is start


def test_weight_parts_are_fillers_and_their_activations_follow_the_order():
    problem = pipeline(3, 2, "linear", memory=3)
    tasks = compile_tasks(problem, problem.fixed_device)
    names = problem.graph.operator_ids[np.flatnonzero(fillers(tasks))]
    assert {name[0] for name in names} == {"W"}
    assert holds_follow_order(tasks)
    assert task_columns(tasks).room.tolist() == pytest.approx([3.0] * 3)


def test_importing_the_search_does_not_import_the_compiler():
    code = "import planner_core.search, sys; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
