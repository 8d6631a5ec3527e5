"""What is compiled before the clock runs is what searches use, and the clock waits for it."""

import time

import numpy as np
import pytest
from numba import njit

from planner_core.search import Cancellation, compiled
from planner_core.search.state import Clock, SearchState
from planner_core.workloads.pipeline import pipeline
from planner_core.workloads.random_graphs import random_layered


def new_state(problem, events=None):
    tell = None if events is None else lambda event: events.append(event.phase)
    return SearchState(problem, "makespan", Clock.start(30.0), Cancellation(), tell)


@pytest.mark.parametrize("operators", [12, 60])
def test_the_clock_waits_once(operators, monkeypatch):
    done = []

    def work():
        time.sleep(0.2)
        done.append(True)

    monkeypatch.setattr(compiled, "_search_exactly", work)
    monkeypatch.setattr(compiled, "_anneal", work)
    monkeypatch.setattr(compiled, "_is_compiled", lambda kernel: bool(done))
    events: list[str] = []
    state = new_state(random_layered(operators, 2, seed=1), events)
    before = state.clock
    compiled.prepare(state)
    shift = state.clock.deadline - before.deadline
    assert shift >= 0.2
    assert state.clock.begin - before.begin == pytest.approx(shift)
    assert events == ["compiling the search, once after installation"]
    compiled.prepare(state)
    assert len(done) == len(events) == 1


def test_stop_is_heard_while_something_is_compiled(monkeypatch):
    state = new_state(random_layered(12, 2, seed=1))
    monkeypatch.setattr(compiled, "_search_exactly", lambda: time.sleep(60))
    monkeypatch.setattr(compiled, "_is_compiled", lambda kernel: False)
    state.cancel.set()
    begin = time.monotonic()
    compiled.prepare(state)
    assert time.monotonic() - begin < 30


def test_placed_and_tiny_problems_do_not_wait(monkeypatch):
    monkeypatch.setattr(compiled, "_is_compiled", lambda kernel: pytest.fail("asked"))
    compiled.prepare(new_state(pipeline(2, 4)))
    compiled.prepare(new_state(random_layered(9, 2, seed=1)))


@pytest.mark.parametrize(
    ("kernels", "work"),
    [
        (compiled._exact, compiled._search_exactly),
        (compiled._annealing, compiled._anneal),
        (compiled._listing, compiled._list),
        (compiled._assigning, compiled._assign),
    ],
)
def test_a_tiny_problem_compiles_them(kernels, work):
    work()
    for kernel in kernels():
        assert kernel.signatures
        assert compiled._is_compiled(kernel)


@pytest.mark.parametrize(
    ("measure", "problem", "kernels"),
    [
        ("peak_memory", pipeline(2, 4), compiled._listing),
        ("period", random_layered(12, 2, seed=1), compiled._assigning),
        ("transfer", random_layered(12, 2, seed=1), compiled._assigning),
        ("makespan", random_layered(12, 2, seed=1), compiled._exact),
        ("makespan", random_layered(60, 2, seed=1), compiled._annealing),
    ],
)
def test_every_measure_has_what_it_needs(measure, problem, kernels):
    needed = compiled._needed(problem, measure)
    assert needed is not None
    assert needed[0] is kernels


def test_what_was_never_compiled_is_told(tmp_path, monkeypatch):
    @njit(cache=True)
    def kernel(x):
        return np.sum(x)

    assert not compiled._is_compiled(kernel)
