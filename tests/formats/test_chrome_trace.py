import json

import pytest

from planner_core.baselines import run_baseline
from planner_core.formats.chrome_trace import chrome_trace
from planner_core.problem import COMPUTE
from planner_core.schedule import memory_profiles
from planner_core.workloads import deepseek_layer_pair, pipeline


def trace(problem, name):
    schedule = run_baseline(name, problem).schedule
    return json.loads(chrome_trace(problem, schedule))["traceEvents"], schedule


@pytest.mark.parametrize(("unit", "factor"), [("ms", 1e3), ("µs", 1.0), ("s", 1e6), ("units", 1e3)])
def test_every_operator_is_a_slice_of_its_device(unit, factor):
    problem = pipeline(3, 4, transfer=0.5, time_unit=unit)
    events, schedule = trace(problem, "1f1b")
    slices = {event["name"]: event for event in events if event["ph"] == "X"}
    assert len(slices) == problem.graph.n_operators
    for o, name in enumerate(problem.graph.operator_ids):
        event = slices[name]
        assert event["pid"] == schedule.device[o]
        assert event["ts"] == pytest.approx(factor * schedule.start[o])
        assert event["dur"] == pytest.approx(factor * (schedule.finish[o] - schedule.start[o]))
        assert event["args"]["micro-batch"] == problem.graph.micro_batch[o]


def test_arrows_join_producer_and_consumer_inside_their_slices():
    problem = pipeline(3, 4, transfer=0.5)
    events, _ = trace(problem, "1f1b")
    begins = {event["id"]: event for event in events if event["ph"] == "s"}
    ends = {event["id"]: event for event in events if event["ph"] == "f"}
    assert begins.keys() == ends.keys()
    assert len(begins) == 2 * 2 * 4  # forward and gradient, over two borders, four micro-batches
    slices = [event for event in events if event["ph"] == "X"]
    for id_, begin in begins.items():
        assert ends[id_]["ts"] >= begin["ts"]
        assert ends[id_]["pid"] != begin["pid"]
        for point in (begin, ends[id_]):
            assert any(
                s["pid"] == point["pid"] and s["ts"] < point["ts"] < s["ts"] + s["dur"]
                for s in slices
            )


def test_transfers_are_spans_as_long_as_they_take():
    events, _ = trace(pipeline(2, 3, transfer=0.5), "1f1b")
    begins = {event["id"]: event["ts"] for event in events if event["ph"] == "b"}
    ends = {event["id"]: event["ts"] for event in events if event["ph"] == "e"}
    assert begins.keys() == ends.keys()
    assert len(begins) == 6
    assert all(ends[id_] - begins[id_] == pytest.approx(500) for id_ in begins)


def test_devices_streams_and_memory_are_named():
    problem = deepseek_layer_pair()
    events, schedule = trace(problem, "heft")
    threads = {e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert threads == {COMPUTE, "network"}
    assert [e["args"]["name"] for e in events if e["name"] == "process_name"] == list(
        problem.cluster.device_ids
    )
    peak = max(e["args"]["used"] for e in events if e["ph"] == "C")
    assert peak == max(profile.peak for profile in memory_profiles(problem, schedule))
