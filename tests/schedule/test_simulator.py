"""The simulator: earliest times of an order, blocks, queues on links, deadlocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule import DeadlockError, compile_tasks, earliest_starts, simulate, validate
from tests.strategies import orders, placements, problems


def _problem(durations, edges=(), devices=2, links=None, **cluster) -> Problem:
    return Problem(
        template=build_graph(
            [{"id": name, "duration": time} for name, time in durations.items()],
            [
                {"id": f"{a}{b}", "producer": a, "consumers": [b], "transfer": time}
                for a, b, time in edges
            ],
        ),
        cluster=build_cluster([{"id": f"d{k}"} for k in range(devices)], links, **cluster),
    )


def _device(*numbers):
    return np.array(numbers, dtype=np.int32)


def test_operators_start_as_early_as_order_and_inputs_allow():
    problem = _problem({"a": 1, "b": 2, "c": 1}, [("a", "c", 0.5)])
    schedule = simulate(problem, _device(0, 1, 1), [[0], [1, 2]])
    assert schedule.start.tolist() == [0.0, 0.0, 2.0]
    schedule = simulate(problem, _device(0, 1, 1), [[0], [2, 1]])
    assert schedule.start.tolist() == [0.0, 2.5, 1.5]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_operator_can_start_earlier_with_the_same_order(data):
    problem = data.draw(problems(staged=False, exclusive=False, limited=False))
    device = data.draw(placements(problem))
    order = data.draw(orders(problem, device))
    schedule = simulate(problem, device, order)
    graph = problem.graph
    before = np.zeros(graph.n_operators)
    for t, a, b in zip(graph.edge_tensor, graph.edge_source, graph.edge_target, strict=True):
        arrival = schedule.finish[a] + problem.transfer_time(int(t), device[a], device[b])
        before[b] = max(before[b], arrival)
    for row in order:
        streams: dict[int, float] = {}
        for o in row:
            before[o] = max(before[o], streams.get(int(graph.stream[o]), 0.0))
            streams[int(graph.stream[o])] = schedule.finish[o]
    assert schedule.start == pytest.approx(before)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_order_of_every_stream_is_kept(data):
    problem = data.draw(problems())
    device = data.draw(placements(problem))
    order = data.draw(orders(problem, device))
    schedule = simulate(problem, device, order)
    for row in order:
        for stream in range(len(problem.graph.stream_names)):
            own = [o for o in row if problem.graph.stream[o] == stream]
            assert np.all(np.diff(schedule.start[own]) >= 0)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_earliest_starts_of_a_sequence_are_those_of_the_simulator(data):
    problem = data.draw(problems())
    device = data.draw(placements(problem))
    order = data.draw(orders(problem, device))
    tasks = compile_tasks(problem, device)
    schedule = simulate(problem, device, order)
    assert tasks.start_times(schedule) == pytest.approx(earliest_starts(tasks, order))


def test_transfers_on_an_exclusive_link_are_served_in_the_order_of_their_producers():
    problem = _problem(
        {"a": 1, "b": 1, "c": 0, "d": 0},
        [("a", "c", 5), ("b", "d", 1)],
        links={"default": {"exclusive": True}},
    )
    schedule = simulate(problem, _device(0, 0, 1, 1), [[0, 1], [2, 3]])
    assert schedule.transfers.start.tolist() == [1.0, 6.0]
    assert schedule.makespan == 7.0


def test_staged_copies_between_operators():
    problem = _problem({"a": 1, "b": 1, "c": 1}, [("a", "b", 2)], transfers="staged")
    schedule = simulate(problem, _device(0, 1, 0), [[0, 2], [1]])
    # the copy out goes before c, which nobody waits for
    assert schedule.start.tolist() == [0.0, 5.0, 3.0]
    assert (schedule.transfers.start[0], schedule.transfers.finish[0]) == (1.0, 5.0)


def test_a_block_waits_for_all_inputs_and_gives_nothing_before_its_end():
    problem = _problem({"a": 1, "b": 1, "c": 2, "d": 1}, [("a", "b", 0), ("b", "d", 0)])
    device = _device(0, 1, 1, 0)
    blocks = simulate(problem, device, [[0, 3], [(2, 1)]])
    assert blocks.start.tolist() == [0.0, 3.0, 1.0, 4.0]
    blocks = simulate(problem, device, [[0, 3], [(1, 2)]])
    assert blocks.start.tolist() == [0.0, 1.0, 2.0, 4.0]
    assert validate(problem, blocks) == []
    single = simulate(problem, device, [[0, 3], [1, 2]])
    assert single.start.tolist() == [0.0, 1.0, 2.0, 2.0]


def test_a_block_faster_than_its_parts_overlaps_them():
    problem = _problem({"a": 1, "b": 2}, devices=1)
    schedule = simulate(problem, _device(0, 0), [[(0, 1)]], block_time=lambda block: 2.5)
    assert schedule.makespan == 2.5
    assert schedule.overlapped.tolist() == [[0, 1]]
    assert validate(problem, schedule, allow_overlapped=True) == []
    assert validate(problem, schedule) != []


def test_an_order_against_the_data_cannot_be_run():
    problem = _problem({"a": 1, "b": 1}, [("a", "b", 0)])
    with pytest.raises(DeadlockError, match=r"cannot be run: 'b'"):
        simulate(problem, _device(0, 0), [[1, 0], []])


def test_devices_that_wait_for_each_other():
    problem = _problem({"a": 1, "b": 1, "c": 1, "d": 1}, [("a", "b", 0), ("c", "d", 0)])
    with pytest.raises(DeadlockError, match="wait for operators"):
        simulate(problem, _device(0, 1, 1, 0), [[3, 0], [1, 2]])


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([[0], []], "lists operator 'b' 0 times"),
        ([[0, 0], [1]], "lists operator 'a' 2 times"),
        ([[0, 1], []], "of device 'd0' lists operator 'b', which is placed elsewhere"),
    ],
)
def test_an_order_that_is_not_of_this_problem(order, message):
    with pytest.raises(DeadlockError, match=message):
        simulate(_problem({"a": 1, "b": 1}), _device(0, 1), order)


def test_no_link_between_the_devices():
    problem = _problem({"a": 1, "b": 1}, [("a", "b", None)], links=[])
    with pytest.raises(ValueError, match="no link joins them; add the link"):
        simulate(problem, _device(0, 1), [[0], [1]])
