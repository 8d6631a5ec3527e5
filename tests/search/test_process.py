import json
import os
import sys
import time
from pathlib import Path

import pytest

from planner_core.schedule import validate
from planner_core.search.process import SolveProcess, Worker
from planner_core.search.progress import Options
from planner_core.search.queue import SolveQueue
from planner_core.workloads import pipeline

FAKE = str(Path(__file__).with_name("fake_worker.py"))
ROOT = str(Path(__file__).parents[2])


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ROOT + os.pathsep + os.environ.get("PYTHONPATH", ""))


def worker(mode):
    return Worker((sys.executable, FAKE, mode))


def run(mode):
    job = SolveProcess(pipeline(2, 2), Options(time_limit=5))
    job.start(worker(mode))
    return job


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_incumbents_and_plan_arrive():
    job = run("plan")
    assert job.finished.wait(20)
    known = job.snapshot()
    assert known.state == "done"
    assert known.history == [(0.1, known.plan.value, 1.0)]
    assert validate(job.problem, known.plan.schedule) == []
    assert known.plan.problem is job.problem


def test_every_option_reaches_the_worker():
    options = Options(time_limit=7, seed=3, merging="levels", merging_cap=2.0)
    job = SolveProcess(pipeline(2, 2), options)
    job.start(worker("options"))
    assert job.finished.wait(20)
    assert Options(**json.loads(job.snapshot().error)) == options


def test_a_crash_is_reported_and_loses_nothing():
    job = run("crash")
    assert job.finished.wait(20)
    known = job.snapshot()
    assert known.state == "failed"
    assert "exit code 3" in known.error
    assert "out of luck" in known.error
    assert known.plan.status == "feasible"
    assert validate(job.problem, known.plan.schedule) == []


def test_a_refusal_is_one_sentence():
    job = run("refuse")
    assert job.finished.wait(20)
    assert job.snapshot().error == "device 'gpu0' needs at least 3"
    assert job.snapshot().plan is None


def test_stop_keeps_the_best_so_far():
    job = run("slow")
    until(lambda: job.snapshot().schedule is not None)
    assert not job.snapshot().over
    job.stop()
    assert job.finished.wait(20)
    assert job.snapshot().plan.schedule is not None
    assert job.snapshot().error is None


def test_the_lifeline_ends_a_real_worker():
    child = Worker()
    child.close()
    assert child.child.wait(30) == 0


@pytest.mark.skipif(not hasattr(os, "nice"), reason="this system has no niceness")
def test_whoever_watches_a_search_goes_first():
    child = Worker()
    own = os.getpriority(os.PRIO_PROCESS, 0)
    until(lambda: os.getpriority(os.PRIO_PROCESS, child.child.pid) > min(own, 18))
    child.close()
    assert child.child.wait(30) == 0


def test_searches_queue_for_the_cores():
    queue = SolveQueue(slots=1, spare=False, new_worker=lambda: worker("slow"))
    first = queue.submit(pipeline(2, 2), Options(time_limit=5))
    until(lambda: first.snapshot().schedule is not None)
    second = queue.submit(pipeline(2, 2), Options(time_limit=5))
    third = queue.submit(pipeline(2, 2), Options(time_limit=5))
    assert [queue.place(job) for job in (first, second, third)] == [0, 1, 2]
    assert second.snapshot().state == "waiting"
    second.stop()
    first.stop()
    until(lambda: third.snapshot().schedule is not None)
    assert second.snapshot().error == "stopped before it began"
    third.stop()
    assert third.finished.wait(20)


def test_owners_take_turns():
    queue = SolveQueue(slots=1, spare=False, new_worker=lambda: worker("slow"))

    def submit(owner):
        return queue.submit(pipeline(2, 2), Options(time_limit=5), owner=owner)

    running = submit("sweep")
    until(lambda: running.snapshot().schedule is not None)
    sweep = [submit("sweep") for _ in range(3)]
    other, third, again = submit("other"), submit("third"), submit("other")
    line = [other, third, sweep[0], again, sweep[1], sweep[2]]
    assert [queue.place(job) for job in line] == [1, 2, 3, 4, 5, 6]
    for job in [running, *line]:
        until(lambda job=job: job.snapshot().schedule is not None)
        assert sum(later.snapshot().state == "waiting" for later in line) == len(line) - (
            line.index(job) + 1 if job in line else 0
        )
        job.stop()


def test_a_search_nobody_waits_for_is_stopped(monkeypatch):
    monkeypatch.setattr("planner_core.search.queue.ABSENCE", 0.0)
    here = [True]
    queue = SolveQueue(slots=1, spare=False, new_worker=lambda: worker("slow"))
    job = queue.submit(pipeline(2, 2), Options(time_limit=5), lambda: here[0])
    until(lambda: job.snapshot().schedule is not None)
    assert not job.finished.is_set()
    here[0] = False
    assert job.finished.wait(20)
