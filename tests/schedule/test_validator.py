"""Every rule of the problem model: a schedule that breaks it, and only it, is reported."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner_core.problem import Objective, Problem, build_cluster, build_graph, check_problem
from planner_core.schedule import Schedule, Transfers, measure, simulate, validate
from tests.strategies import scheduled

LINK = {"latency": 0.5, "bandwidth": 2.0}


def make(operators, tensors=(), groups=(), *, devices=2, memory=None, **cluster) -> Problem:
    problem = Problem(
        template=build_graph(operators, tensors, groups),
        cluster=build_cluster(
            [{"id": f"d{k}", "memory": memory, **cluster.pop(f"d{k}", {})} for k in range(devices)],
            cluster.pop("links", {"default": LINK}),
            **cluster,
        ),
    )
    check_problem(problem)
    return problem


def op(name, duration=1.0, device=None, **more):
    return {"id": name, "duration": duration, **({"devices": [device]} if device else {}), **more}


def tensor(name, producer, *consumers, size=1.0, **more):
    row = {"id": name, "producer": producer, "consumers": list(consumers), "size": size}
    return {**row, **more}


def timed(problem, device, order) -> Schedule:
    schedule = simulate(problem, np.array(device, dtype=np.int32), order)
    assert validate(problem, schedule) == []
    return schedule


def moved(schedule, operator, by) -> Schedule:
    start, finish = schedule.start.copy(), schedule.finish.copy()
    start[operator] += by
    finish[operator] += by
    return replace(schedule, start=start, finish=finish)


def with_transfers(schedule, **columns) -> Schedule:
    return replace(schedule, transfers=replace(schedule.transfers, **columns))


def rules(problem, schedule, **options):
    return [violation.rule for violation in validate(problem, schedule, **options)]


def messages(problem, schedule):
    return "\n".join(map(str, validate(problem, schedule)))


# 1. Assignment


def test_operator_on_a_device_it_may_not_use():
    problem = make([op("a", device="d0"), op("b")])
    schedule = timed(problem, [0, 1], [[0], [1]])
    wrong = replace(schedule, device=np.array([1, 1], dtype=np.int32), start=np.array([0.0, 1.0]))
    wrong = replace(wrong, finish=np.array([1.0, 2.0]))
    assert rules(problem, wrong) == ["assignment"]
    assert "operator 'a' may not run on device 'd1'" in messages(problem, wrong)


def test_operator_without_a_duration_for_the_type_may_not_run_there():
    problem = make([op("a", {"H100": 1})], d0={"type": "H100"}, d1={"type": "A100"})
    schedule = timed(problem, [0], [[0], []])
    assert rules(problem, replace(schedule, device=np.array([1]))) == ["assignment"]


@pytest.mark.parametrize("device", [-1, 2])
def test_operator_on_no_device(device):
    problem = make([op("a")])
    schedule = replace(timed(problem, [0], [[0], []]), device=np.array([device]))
    assert rules(problem, schedule) == ["assignment"]


def test_operator_left_out():
    problem = make([op("a"), op("b")])
    schedule = timed(problem, [0, 1], [[0], [1]])
    short = replace(schedule, start=schedule.start[:1])
    assert rules(problem, short) == ["assignment"]


def test_colocation_group_apart():
    problem = make([op("a", colocate="g"), op("b", colocate="g")])
    apart = simulate(problem, np.array([0, 1], dtype=np.int32), [[0], [1]])
    assert rules(problem, apart) == ["assignment"]
    assert "colocation group 'g'" in messages(problem, apart)
    assert validate(problem, timed(problem, [1, 1], [[], [0, 1]])) == []


# 2. Duration


@pytest.mark.parametrize("by", [-0.25, 0.25])
def test_duration_other_than_given(by):
    problem = make([op("a", 2)])
    schedule = timed(problem, [0], [[0], []])
    assert rules(problem, replace(schedule, finish=schedule.finish + by)) == ["duration"]


def test_duration_is_divided_by_the_speed():
    problem = make([op("a", 2)], d1={"speed": 4.0})
    schedule = timed(problem, [1], [[], [0]])
    assert schedule.finish.tolist() == [0.5]
    assert rules(problem, replace(schedule, finish=np.array([2.0]))) == ["duration"]


def test_duration_is_looked_up_by_type():
    problem = make([op("a", {"x": 3, "y": 5})], d0={"type": "x"}, d1={"type": "y", "speed": 9.0})
    assert timed(problem, [0], [[0], []]).makespan == 3
    assert timed(problem, [1], [[], [0]]).makespan == 5


# 3. Streams


def test_two_operators_overlap_on_a_stream():
    problem = make([op("a", 2), op("b", 2)])
    schedule = timed(problem, [0, 0], [[0, 1], []])
    assert rules(problem, moved(schedule, 1, -0.5)) == ["stream"]


def test_streams_of_one_device_and_streams_of_two_devices_may_overlap():
    problem = make([op("a", 2), op("b", 2, stream="network"), op("c", 2)])
    schedule = timed(problem, [0, 0, 1], [[0, 1], [2]])
    assert schedule.start.tolist() == [0, 0, 0]


def test_every_overlap_is_listed():
    problem = make([op("long", 10), *(op(f"o{i}", 1) for i in range(4))], devices=1)
    start = np.array([0.0, 1.0, 3.0, 5.0, 20.0])
    schedule = Schedule(
        device=np.zeros(5, dtype=np.int32), start=start, finish=start + np.array([10, 1, 1, 1, 1])
    )
    assert rules(problem, schedule) == ["stream"] * 3


def test_overlapped_pairs_pass_only_if_allowed():
    problem = make([op("a", 2), op("b", 2)], devices=1)
    schedule = Schedule(
        device=np.zeros(2, dtype=np.int32),
        start=np.zeros(2),
        finish=np.array([3.0, 3.0]),
        overlapped=np.array([[0, 1]], dtype=np.int32),
    )
    assert rules(problem, schedule, allow_overlapped=True) == []
    assert set(rules(problem, schedule)) == {"duration", "stream"}


# 4. Precedence and transfers


def chain(**cluster) -> Problem:
    return make([op("a"), op("b")], [tensor("t", "a", "b", size=3.0)], **cluster)


def test_consumer_on_the_same_device_before_the_producer_ends():
    problem = make([op("a"), op("b", stream="network")], [tensor("t", "a", "b")])
    schedule = timed(problem, [0, 0], [[0, 1], []])
    assert rules(problem, moved(schedule, 1, -0.5)) == ["precedence"]


def test_consumer_elsewhere_before_the_tensor_arrives():
    problem = chain()
    schedule = timed(problem, [0, 1], [[0], [1]])
    assert schedule.start[1] == 1 + 0.5 + 3.0 / 2.0
    assert rules(problem, moved(schedule, 1, -0.25)) == ["precedence"]
    unlisted = replace(moved(schedule, 1, -0.25), transfers=Transfers())
    assert rules(problem, unlisted) == ["precedence"]


def test_fixed_transfer_time():
    problem = make([op("a"), op("b")], [tensor("t", "a", "b", size=3.0, transfer=0.75)])
    schedule = timed(problem, [0, 1], [[0], [1]])
    assert schedule.start[1] == 1.75
    assert rules(problem, moved(schedule, 1, -0.25)) == ["precedence"]


def test_no_link_no_exchange():
    problem = chain(links=[{"source": "d1", "target": "d0"}])
    schedule = timed(problem, [1, 0], [[1], [0]])
    there = replace(schedule, device=schedule.device[::-1].copy(), transfers=Transfers())
    assert rules(problem, there) == ["precedence"]
    assert "no link joins them" in messages(problem, there)


def test_listed_transfer_with_another_duration():
    problem = chain()
    schedule = timed(problem, [0, 1], [[0], [1]])
    rows = schedule.transfers
    assert rules(problem, with_transfers(schedule, finish=rows.finish - 0.5)) == ["transfer"]


def test_transfer_on_a_free_link_starts_when_the_producer_ends():
    problem = chain()
    schedule = moved(timed(problem, [0, 1], [[0], [1]]), 1, 2.0)
    rows = schedule.transfers
    late = with_transfers(schedule, start=rows.start + 1, finish=rows.finish + 1)
    assert rules(problem, late) == ["transfer"]


def test_transfer_before_the_producer_ends():
    problem = chain(links={"default": {**LINK, "exclusive": True}})
    schedule = timed(problem, [0, 1], [[0], [1]])
    rows = schedule.transfers
    early = with_transfers(schedule, start=rows.start - 0.5, finish=rows.finish - 0.5)
    assert rules(problem, early) == ["transfer"]


def test_transfer_on_an_exclusive_link_may_wait_but_must_be_listed():
    problem = chain(links={"default": {**LINK, "exclusive": True}})
    schedule = timed(problem, [0, 1], [[0], [1]])
    rows = schedule.transfers
    late = with_transfers(schedule, start=rows.start + 2, finish=rows.finish + 2)
    assert rules(problem, late) == ["precedence"]
    assert rules(problem, moved(late, 1, 2.0)) == []
    assert rules(problem, replace(schedule, transfers=Transfers())) == ["transfer"]


def two_tensors(exclusive: bool) -> Problem:
    return make(
        [op("a"), op("b"), op("c")],
        [tensor("t", "a", "b", size=3.0), tensor("u", "a", "c", size=3.0)],
        links={"default": {**LINK, "exclusive": exclusive}},
    )


def test_transfers_on_an_exclusive_link_overlap():
    problem = two_tensors(exclusive=True)
    schedule = timed(problem, [0, 1, 1], [[0], [1, 2]])
    assert np.diff(np.sort(schedule.transfers.start)).tolist() == [2.0]
    rows = schedule.transfers
    together = with_transfers(schedule, start=np.ones(2), finish=np.full(2, 3.0))
    assert rules(problem, together) == ["stream"]
    free = two_tensors(exclusive=False)
    assert timed(free, [0, 1, 1], [[0], [1, 2]]).transfers.start.tolist() == [1.0, 1.0]
    assert len(rows) == 2


def test_exclusive_links_in_both_directions_are_two_links():
    problem = make(
        [op("a"), op("b"), op("c"), op("d")],
        [tensor("t", "a", "c", size=3.0), tensor("u", "b", "d", size=3.0)],
        links={"default": {**LINK, "exclusive": True}},
    )
    schedule = timed(problem, [0, 1, 1, 0], [[0, 3], [1, 2]])
    assert schedule.transfers.start.tolist() == [1.0, 1.0]


def test_transfer_listed_twice_or_for_nobody():
    problem = chain()
    schedule = timed(problem, [0, 1], [[0], [1]])
    rows = schedule.transfers
    twice = Transfers(
        **{c: np.repeat(getattr(rows, c), 2) for c in vars(rows)}  # every column
    )
    assert rules(problem, replace(schedule, transfers=twice)) == ["transfer"]
    together = timed(problem, [0, 0], [[0, 1], []])
    assert rules(problem, replace(together, transfers=rows)) == ["transfer"]


@pytest.mark.parametrize("column", ["tensor", "source", "target"])
def test_transfer_of_something_that_does_not_exist(column):
    problem = chain()
    schedule = timed(problem, [0, 1], [[0], [1]])
    assert rules(problem, with_transfers(schedule, **{column: np.array([7])})) == ["transfer"]


def test_transfer_at_no_time():
    problem = chain(links={"default": {**LINK, "exclusive": True}})
    schedule = timed(problem, [0, 1], [[0], [1]])
    assert "transfer" in rules(problem, with_transfers(schedule, start=np.array([np.nan])))


# 5. Memory


def test_limit_of_tensors():
    problem = make(
        [op("a"), op("b"), op("c")],
        [tensor("t", "a", "c", size=2.0), tensor("u", "b", "c", size=2.0)],
        devices=1,
        memory=4.0,
    )
    schedule = timed(problem, [0, 0, 0], [[0, 1, 2]])
    assert rules(problem.with_memory(3.0), schedule) == ["memory"]
    assert "holds 4 at 1; its limit is 3" in messages(problem.with_memory(3.0), schedule)


def test_parameter_groups_count_once_per_device_that_uses_them():
    problem = make(
        [op("a", parameters=["w"]), op("b", parameters=["w"]), op("c")],
        groups=[{"id": "w", "size": 5.0}],
    )
    shared = timed(problem.with_memory(5.0), [0, 0, 1], [[0, 1], [2]])
    assert rules(problem.with_memory(4.9), shared) == ["memory"]
    assert rules(problem.with_memory([5.0, 0.0]), shared) == []
    apart = timed(problem.with_memory(5.0), [0, 1, 1], [[0], [1, 2]])
    assert rules(problem.with_memory([5.0, 0.0]), apart) == ["memory"]


def test_workspace_while_the_operator_runs():
    problem = make([op("a", workspace=2.0), op("b", workspace=2.0, stream="network")], devices=1)
    together = timed(problem, [0, 0], [[0, 1]])
    assert rules(problem.with_memory(3.0), together) == ["memory"]
    assert rules(problem.with_memory(3.0), moved(together, 1, 1.0)) == []


def test_tensor_held_at_home_until_its_transfer_has_arrived():
    problem = make(
        [op("a"), op("b"), op("c", workspace=1.0)], [tensor("t", "a", "b", size=3.0)]
    ).with_memory(3.0)
    schedule = simulate(problem, np.array([0, 1, 0], dtype=np.int32), [[0, 2], [1]])
    assert schedule.start[2] == 1.0
    assert rules(problem, schedule) == ["memory"]
    assert rules(problem, replace(schedule, transfers=Transfers())) == ["memory"]
    assert rules(problem, moved(schedule, 2, 2.0)) == []


def test_tensor_held_by_a_receiver_from_the_start_of_its_transfer():
    problem = make(
        [op("a"), op("b"), op("c", 2.0, workspace=1.0)], [tensor("t", "a", "b", size=3.0)]
    ).with_memory(3.0)
    order = [[0], [2, 1]]
    schedule = simulate(problem, np.array([0, 1, 1], dtype=np.int32), order)
    assert (schedule.transfers.start[0], schedule.finish[2]) == (1.0, 2.0)
    assert rules(problem, schedule) == ["memory"]


def test_a_tensor_nobody_consumes_goes_when_its_producer_ends_unless_it_is_an_output():
    operators = [op("a"), op("b", workspace=1.0)]
    gone = make(operators, [tensor("t", "a", size=3.0)], devices=1, memory=3.0)
    assert validate(gone, timed(gone, [0, 0], [[0, 1]])) == []
    kept = make(operators, [tensor("t", "a", size=3.0, output=True)], devices=1, memory=3.0)
    assert rules(kept, simulate(kept, np.zeros(2, dtype=np.int32), [[0, 1]])) == ["memory"]


def test_an_output_stays_after_its_last_consumer():
    operators = [op("a"), op("b"), op("c", workspace=1.0)]
    for output, expected in ((False, []), (True, ["memory"])):
        problem = make(
            operators, [tensor("t", "a", "b", size=3.0, output=output)], devices=1, memory=3.0
        )
        schedule = simulate(problem, np.zeros(3, dtype=np.int32), [[0, 1, 2]])
        assert rules(problem, schedule) == expected


@pytest.mark.parametrize("by", [-1e-12, 1e-12])
def test_at_one_instant_releases_count_first(by):
    problem = make(
        [op("a", 0.1), op("b", 0.2), op("c", 0.3)],
        [tensor("t", "a", size=3.0), tensor("u", "b", size=3.0), tensor("v", "c", size=3.0)],
        devices=1,
        memory=3.0,
    )
    schedule = timed(problem, [0, 0, 0], [[0, 1, 2]])
    assert rules(problem, moved(schedule, 1, by)) == []


# 6 and 7. Times


def test_start_before_zero():
    problem = make([op("a", 4.0)])
    schedule = timed(problem, [0], [[0], []])
    assert rules(problem, moved(schedule, 0, -0.5)) == ["time"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_times_that_are_no_numbers(value):
    problem = make([op("a"), op("b")])
    schedule = timed(problem, [0, 1], [[0], [1]])
    start = schedule.start.copy()
    start[0] = value
    assert rules(problem, replace(schedule, start=start)) == ["time"]


def test_one_tolerance_relative_to_the_makespan():
    problem = chain()
    schedule = timed(problem, [0, 1], [[0], [1]])
    assert rules(problem, moved(schedule, 1, -1e-9)) == []
    assert rules(problem, moved(schedule, 1, -1e-8)) == ["precedence"]


# 8. Staged transfers


def staged(**cluster) -> Problem:
    return make(
        [op("a"), op("b"), op("c", device="d0"), op("e", device="d1")],
        [tensor("t", "a", "b", size=3.0)],
        transfers="staged",
        **cluster,
    )


def test_staged_copies_occupy_both_compute_streams():
    problem = staged()
    schedule = timed(problem, [0, 1, 0, 1], [[0, 2], [3, 1]])
    # a 0–1, copy out 1–3 on d0, copy in 3–5 on d1, then b; c waits for the copy out.
    assert schedule.start.tolist() == [0.0, 5.0, 3.0, 0.0]
    assert rules(problem, moved(schedule, 2, -1.0)) == ["stream"]
    assert rules(problem, moved(schedule, 3, 3.0)) == ["stream"]
    assert rules(problem, moved(schedule, 1, -0.5)) == ["stream", "precedence"]


def test_staged_copy_too_short_or_not_listed():
    problem = staged()
    schedule = timed(problem, [0, 1, 0, 1], [[0, 2], [3, 1]])
    rows = schedule.transfers
    short = with_transfers(schedule, finish=rows.finish - 1.0)
    assert rules(problem, short) == ["transfer"]
    assert rules(problem, replace(schedule, transfers=Transfers())) == ["transfer"]


def test_a_host_pays_nothing():
    problem = staged(d0={"host": True})
    schedule = timed(problem, [0, 1, 0, 1], [[0, 2], [3, 1]])
    assert schedule.start.tolist() == [0.0, 3.0, 1.0, 0.0]
    assert rules(problem, moved(schedule, 3, 2.0)) == ["stream"]


def test_a_staged_tensor_leaves_once_for_all_receivers():
    problem = make(
        [op("a"), op("b", device="d1"), op("c", device="d2")],
        [tensor("t", "a", "b", "c", size=3.0)],
        devices=3,
        transfers="staged",
    )
    schedule = timed(problem, [0, 1, 2], [[0], [1], [2]])
    rows = schedule.transfers
    assert rows.start.tolist() == [1.0, 1.0]
    wait = np.array([0, 2])
    later = with_transfers(schedule, start=rows.start + wait, finish=rows.finish + wait)
    assert "transfer" in rules(problem, moved(later, 2, 2.0))


# 9 and budgets


@pytest.mark.parametrize("name", ["makespan", "period", "peak_memory", "transfer"])
def test_budgets(name):
    problem = chain()
    schedule = timed(problem, [0, 1], [[0], [1]])
    value = measure(name, problem, schedule)
    assert value > 0
    other = "period" if name == "makespan" else "makespan"
    for budget, expected in ((value, []), (0.99 * value, ["budget"])):
        limited = replace(problem, objective=Objective((other,), {name: budget}))
        assert rules(limited, schedule) == expected
        assert rules(limited, replace(schedule, transfers=Transfers())) == expected


def test_all_violations_are_listed_not_only_the_first():
    problem = make(
        [op("a", 2, "d0"), op("b", 2), op("c", 2)], [tensor("t", "b", "c", size=9.0)], memory=8.0
    )
    schedule = Schedule(
        device=np.array([1, 1, 1], dtype=np.int32),
        start=np.array([0.0, 1.0, 2.0]),
        finish=np.array([2.0, 3.0, 4.5]),
    )
    assert set(rules(problem, schedule)) == {
        "assignment",
        "duration",
        "stream",
        "precedence",
        "memory",
    }


@settings(max_examples=200, deadline=None)
@given(scheduled())
def test_a_simulated_order_breaks_no_rule_but_memory(drawn):
    problem, schedule = drawn
    assert set(rules(problem, schedule)) <= {"memory"}


@settings(max_examples=200, deadline=None)
@given(scheduled(limited=False), st.data())
def test_a_disturbed_schedule_is_reported(drawn, data):
    problem, schedule = drawn
    operator = data.draw(st.integers(0, problem.graph.n_operators - 1))
    disturb = data.draw(st.sampled_from(["shorter", "longer", "before 0", "earlier", "device"]))
    if disturb == "shorter":
        assume(schedule.finish[operator] > schedule.start[operator])
        finish = schedule.finish.copy()
        finish[operator] = schedule.start[operator]
        wrong = replace(schedule, finish=finish)
    elif disturb == "longer":
        finish = schedule.finish.copy()
        finish[operator] += 0.01
        wrong = replace(schedule, finish=finish)
    elif disturb == "before 0":
        wrong = moved(schedule, operator, -schedule.start[operator] - 0.01)
    elif disturb == "earlier":
        # The simulator starts everything as early as its stream and its inputs allow.
        # One of no duration before it may take no time inside it instead.
        stream = problem.graph.stream == problem.graph.stream[operator]
        beside = stream & (schedule.device == schedule.device[operator])
        assume(schedule.start[operator] > 0)
        assume(np.all(schedule.finish[beside] > schedule.start[beside]))
        wrong = moved(schedule, operator, -0.01)
    else:
        banned = np.flatnonzero(~np.isfinite(problem.durations[operator]))
        assume(len(banned))
        device = schedule.device.copy()
        device[operator] = banned[0]
        wrong = replace(schedule, device=device)
    assert validate(problem, wrong)
