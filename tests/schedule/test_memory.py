"""Memory over time against a direct reading of rule 5."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule import (
    Transfers,
    compile_tasks,
    memory_profiles,
    resident_memory,
    simulate,
)
from tests.strategies import scheduled


def held_at(problem, schedule, k, time):
    """Memory on a device at an instant between two events, straight from the rule's words."""
    graph, device = problem.graph, schedule.device
    on_device = np.flatnonzero(device == k)
    groups = {int(g) for o in on_device for g in graph.groups_of(int(o))}
    used = sum(float(graph.group_size[g]) for g in groups)
    for o in on_device:
        if schedule.start[o] <= time < schedule.finish[o]:
            used += float(graph.workspace[o])
    rows = schedule.transfers
    for t in range(graph.n_tensors):
        producer = int(graph.producer[t])
        consumers = graph.consumers_of(t)
        ends = [float(schedule.finish[c]) for c in consumers if device[c] == k]
        moves = [x for x in range(len(rows)) if rows.tensor[x] == t]
        if device[producer] == k:
            begin = float(schedule.start[producer])
            ends += [float(rows.finish[x]) for x in moves]
            if not len(consumers):
                ends.append(float(schedule.finish[producer]))
            if graph.is_output[t]:
                ends.append(np.inf)
        elif ends:
            begin = float(next(rows.start[x] for x in moves if rows.target[x] == k))
        else:
            continue
        if begin <= time < max(ends):
            used += float(graph.size[t])
    return used


@settings(max_examples=150, deadline=None)
@given(scheduled())
def test_profiles_agree_with_the_rule(drawn):
    problem, schedule = drawn
    rows = schedule.transfers
    events = np.unique(
        np.concatenate([schedule.start, schedule.finish, rows.start, rows.finish, [0.0]])
    )
    events = events[np.append(True, np.diff(events) > 1e-6)]
    middles = [*((events[:-1] + events[1:]) / 2), events[-1] + 1.0]
    for k, profile in enumerate(memory_profiles(problem, schedule)):
        assert profile.time[0] == 0
        assert np.all(np.diff(profile.time) > 0)
        for time in middles:
            at = int(np.searchsorted(profile.time, time, side="right")) - 1
            assert profile.used[at] == pytest.approx(held_at(problem, schedule, k, time))


@settings(max_examples=100, deadline=None)
@given(scheduled(staged=False, exclusive=False))
def test_transfers_that_may_be_left_out_change_nothing(drawn):
    problem, schedule = drawn
    bare = replace(schedule, transfers=Transfers())
    for one, other in zip(
        memory_profiles(problem, schedule), memory_profiles(problem, bare), strict=True
    ):
        assert one.peak == pytest.approx(other.peak)


@settings(max_examples=100, deadline=None)
@given(scheduled())
def test_compiled_holds_agree_with_the_profiles(drawn):
    problem, schedule = drawn
    tasks = compile_tasks(problem, schedule.device)
    start = tasks.start_times(schedule)
    finish = start + tasks.duration
    begin = np.where(tasks.hold_at_finish, finish[tasks.hold_task], start[tasks.hold_task])
    end = np.full(len(begin), np.inf)
    for hold in range(len(begin)):
        row = slice(tasks.release_ptr[hold], tasks.release_ptr[hold + 1])
        if row.stop > row.start:
            end[hold] = np.max(finish[tasks.release_task[row]] + tasks.release_lag[row])
    for k, profile in enumerate(memory_profiles(problem, schedule)):
        for i, time in enumerate(profile.time):
            after = profile.time[i + 1] if i + 1 < len(profile.time) else time + 1.0
            middle = (time + after) / 2
            held = (tasks.hold_device == k) & (begin <= middle) & (middle < end)
            used = tasks.resident[k] + tasks.hold_size[held].sum()
            assert used == pytest.approx(profile.used[i])


def test_a_profile_step_by_step():
    problem = Problem(
        template=build_graph(
            [
                {"id": "a", "duration": 1, "parameters": ["w"]},
                {"id": "b", "duration": 2, "workspace": 4},
                {"id": "c", "duration": 1},
            ],
            [{"id": "t", "producer": "a", "consumers": ["c"], "size": 2}],
            [{"id": "w", "size": 10}],
        ),
        cluster=build_cluster([{"id": "d"}]),
    )
    schedule = simulate(problem, np.zeros(3, dtype=np.int32), [[0, 1, 2]])
    profile = memory_profiles(problem, schedule)[0]
    assert profile.time.tolist() == [0, 1, 3, 4]
    assert profile.used.tolist() == [12, 16, 12, 10]
    assert profile.peak == 16
    assert resident_memory(problem, schedule.device).tolist() == [10]
