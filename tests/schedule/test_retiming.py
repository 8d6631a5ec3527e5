"""Re-timing keeps a schedule's decisions and never makes anything later."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner_core.problem import RELATIVE_TOLERANCE, Problem, build_cluster, build_graph
from planner_core.schedule import (
    compile_tasks,
    memory_profiles,
    resource_sequences,
    retime,
    simulate,
    validate,
)
from tests.strategies import scheduled


def _stretched(draw, tasks, start):
    """Return a later schedule with the same order: every instant moved by a growing delay."""
    delays = st.sampled_from([0.0, 0.0, 0.25, 1.0, 3.0])
    instants = np.unique(start)
    shift = np.cumsum([draw(delays) for _ in instants])
    return start + shift[np.searchsorted(instants, start)]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_never_later_and_still_valid(data):
    problem, schedule = data.draw(scheduled(staged=False, exclusive=False))
    tasks = compile_tasks(problem, schedule.device)
    start = _stretched(data.draw, tasks, tasks.start_times(schedule))
    late = tasks.schedule(start)
    assume(not validate(problem, late))
    early = retime(tasks, start)
    tolerance = RELATIVE_TOLERANCE * max(1.0, late.makespan)
    assert np.all(early <= start + tolerance)
    assert validate(problem, tasks.schedule(early)) == []


@settings(max_examples=150, deadline=None)
@given(scheduled(limited=False))
def test_a_simulated_schedule_stays_valid_with_any_links(drawn):
    problem, schedule = drawn
    tasks = compile_tasks(problem, schedule.device)
    start = tasks.start_times(schedule)
    early = retime(tasks, start)
    assert np.all(early <= start + RELATIVE_TOLERANCE * max(1.0, schedule.makespan))
    assert validate(problem, tasks.schedule(early)) == []


@settings(max_examples=150, deadline=None)
@given(scheduled(limited=False))
def test_memory_at_the_peak_of_the_schedule_is_kept(drawn):
    problem, schedule = drawn
    peaks = [profile.peak for profile in memory_profiles(problem, schedule)]
    tight = problem.with_memory(np.array(peaks))
    assume(validate(tight, schedule) == [])
    tasks = compile_tasks(tight, schedule.device)
    early = retime(tasks, tasks.start_times(schedule))
    assert validate(tight, tasks.schedule(early)) == []


@settings(max_examples=100, deadline=None)
@given(scheduled(limited=False))
def test_the_order_on_every_resource_is_kept(drawn):
    problem, schedule = drawn
    tasks = compile_tasks(problem, schedule.device)
    start = tasks.start_times(schedule)
    early = retime(tasks, start)
    for row in resource_sequences(tasks, start):
        assert np.all(np.diff(early[row]) >= -RELATIVE_TOLERANCE * max(1.0, schedule.makespan))


def _two_in_a_row(memory=None) -> Problem:
    return Problem(
        template=build_graph(
            [{"id": "a", "duration": 1}, {"id": "b", "duration": 1}, {"id": "c", "duration": 1}],
            [
                {"id": "t", "producer": "a", "consumers": ["c"], "size": 1},
                {"id": "u", "producer": "b", "consumers": [], "size": 1},
            ],
        ),
        cluster=build_cluster([{"id": "d0", "memory": memory}]),
    )


def test_gaps_close_to_the_longest_path():
    problem = _two_in_a_row()
    tasks = compile_tasks(problem, np.zeros(3, dtype=np.int32))
    assert retime(tasks, np.array([2.0, 4.0, 9.0])).tolist() == [0.0, 1.0, 2.0]


def test_an_allocation_waits_for_the_release_it_needs():
    problem = _two_in_a_row(memory=1)
    tasks = compile_tasks(problem, np.zeros(3, dtype=np.int32))
    assert retime(tasks, np.array([2.0, 9.0, 4.0])).tolist() == [0.0, 2.0, 1.0]


def test_network_stream_waits_for_memory_not_for_order():
    template = build_graph(
        [
            {"id": "a", "duration": 2, "workspace": 1},
            {"id": "n", "duration": 1, "workspace": 1, "stream": "network"},
        ]
    )
    problem = Problem(template=template, cluster=build_cluster([{"id": "d0", "memory": 1}]))
    tasks = compile_tasks(problem, np.zeros(2, dtype=np.int32))
    assert retime(tasks, np.array([0.0, 5.0])).tolist() == [0.0, 2.0]
    free = dataclasses.replace(problem, cluster=build_cluster([{"id": "d0", "memory": 2}]))
    tasks = compile_tasks(free, np.zeros(2, dtype=np.int32))
    assert retime(tasks, np.array([0.0, 5.0])).tolist() == [0.0, 0.0]


def test_operators_shorter_than_their_slots_move_up():
    template = build_graph(
        [{"id": "a", "duration": 0.7}, {"id": "b", "duration": 0.7}],
        [{"id": "t", "producer": "a", "consumers": ["b"]}],
    )
    problem = Problem(template=template, cluster=build_cluster([{"id": "d0"}]))
    schedule = simulate(problem, np.zeros(2, dtype=np.int32), [[0, 1]])
    tasks = compile_tasks(problem, schedule.device)
    assert retime(tasks, np.array([0.0, 1.0])) == pytest.approx([0.0, 0.7])
