import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from planner_core.baselines.list_scheduling import heft, list_schedules
from planner_core.problem import InputError
from planner_core.schedule import memory_profiles, validate
from planner_core.schedule.columns import columns_of
from planner_core.search import Cancellation, Options, makespan, memory_search, plan
from planner_core.search.decoder import decisions_of, decode, empty_times
from planner_core.search.held_memory import memory_excess
from planner_core.search.memory_search import find_within_memory
from planner_core.search.state import Clock, SearchState
from planner_core.workloads.random_graphs import random_layered
from tests.strategies import problems

PROPERTY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def soon(seconds: float) -> float:
    return time.monotonic() + seconds


def tight(operators: int, seed: int, share: float):
    """Return a problem with a share of the memory its HEFT schedule holds, and that schedule."""
    problem = random_layered(operators, 4, seed=seed)
    schedule = heft(problem)
    peak = max(profile.peak for profile in memory_profiles(problem, schedule))
    return problem.with_memory(share * peak), schedule


@given(problems())
@PROPERTY
def test_what_is_found_keeps_every_rule(problem):
    begin = next((s for _, s in list_schedules(problem.with_memory(np.inf))), None)
    if begin is None:
        return
    found = find_within_memory(problem, begin, deadline=soon(0.2))
    assert found is None or validate(problem, found) == []


@pytest.mark.parametrize(("seed", "share"), [(1, 0.7), (2, 0.6), (3, 0.5)])
def test_finds_a_schedule_where_no_list_schedule_fits(seed, share):
    problem, begin = tight(40, seed, share)
    assert all(validate(problem, schedule) for _, schedule in list_schedules(problem))
    found = find_within_memory(problem, begin, deadline=soon(30))
    assert found is not None
    assert validate(problem, found) == []


def test_a_plan_begins_with_it():
    problem, _ = tight(60, 1, 0.7)
    assert all(validate(problem, schedule) for _, schedule in list_schedules(problem))
    phases = []
    found = plan(problem, Options(time_limit=4), lambda event: phases.append(event.phase))
    assert found.schedule is not None
    assert "search for a schedule within memory" in phases


def test_gives_up_in_time_and_when_told():
    problem, begin = tight(40, 1, 0.01)
    started = time.monotonic()
    assert find_within_memory(problem, begin, deadline=soon(0.3)) is None
    assert find_within_memory(problem, begin, deadline=soon(60), cancelled=lambda: True) is None
    assert time.monotonic() - started < 30


@given(problems())
@PROPERTY
def test_excess_falls_with_the_limits_and_ends_at_none(problem):
    try:
        schedule = heft(problem.with_memory(np.inf))
    except InputError:
        return
    peaks = np.array([p.peak for p in memory_profiles(problem, schedule)])

    def excess(share: float, enough: float = np.inf) -> float:
        columns = columns_of(problem.with_memory(peaks * share))
        sequence, device = decisions_of(columns, schedule)
        times = empty_times(columns)
        decode(columns, sequence, device, times)
        return memory_excess(columns, device, times, enough)

    values = [excess(share) for share in (0.25, 0.5, 0.75)]
    assert all(np.isfinite(values))
    if not problem.cluster.staged and not problem.cluster.exclusive.any():
        assert excess(1.0) == 0.0
        assert (values[1] > 0) == bool(peaks.any())
    assert (excess(0.5, 0.0) > 0) == (values[1] > 0)


def test_a_schedule_refused_for_other_reasons_is_not_looked_for_again_and_again(monkeypatch):
    problem, begin = tight(40, 2, 1.0)
    state = SearchState(problem, "makespan", Clock.start(30.0), Cancellation())
    asked = []
    monkeypatch.setattr(state, "offer", lambda schedule, name: False)
    monkeypatch.setattr(
        memory_search, "find_within_memory", lambda *_, **__: asked.append(1) or begin
    )
    makespan.search_within_memory(state, 20.0)
    assert len(asked) == 1
