"""Chains of interchangeable tasks: which there are, and that taking them in order loses nothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule import compile_tasks, memory_profiles, simulate, validate
from planner_core.schedule.symmetry import identical_chains
from planner_core.workloads.pipeline import pipeline
from tests.strategies import orders

KINDS = 3  # F, I, W


def chains_of(problem: Problem) -> list[list[int]]:
    return identical_chains(compile_tasks(problem, problem.fixed_device))


def way_of(problem: Problem, operator: int) -> tuple[str, int, int]:
    graph = problem.graph
    kind = graph.operator_ids[operator].partition("@")[0]
    return kind, int(graph.stage[operator]), int(problem.fixed_device[operator])


@pytest.mark.parametrize(
    ("placement", "directions"), [("linear", 1), ("v", 1), ("bidirectional", 2)]
)
def test_chains_of_a_pipeline_are_one_task_of_every_micro_batch(placement, directions):
    problem = pipeline(4, 6, placement, transfer=0.5)
    graph, chains = problem.graph, chains_of(problem)
    stages = int(graph.stage.max()) + 1
    assert len(chains) == stages * KINDS * directions
    assert sorted(o for chain in chains for o in chain) == list(range(graph.n_operators))
    for chain in chains:
        assert len({way_of(problem, o) for o in chain}) == 1
        batches = graph.micro_batch[chain].tolist()
        assert batches == sorted(set(batches))
        assert len(batches) == 6 // directions
    ways = [way_of(problem, chain[0]) for chain in chains]
    assert len(set(ways)) == len(ways)


def test_one_connected_part_and_nothing_at_all_have_no_chains():
    assert chains_of(pipeline(3, 1)) == []
    assert chains_of(pipeline(3, 2, "bidirectional")) == []  # one micro-batch each way


def two_chains(durations: list[float], *, lag: float = 0.0, size: float = 1.0) -> Problem:
    """Two producers and their consumers on two devices; lag and size are of the second tensor."""
    names = ("a0", "b0", "a1", "b1")
    return Problem(
        template=build_graph(
            [
                {"id": name, "duration": d, "devices": ["d0" if name[0] == "a" else "d1"]}
                for name, d in zip(names, durations, strict=True)
            ],
            [
                {"id": "t0", "producer": "a0", "consumers": ["b0"], "size": 1.0, "transfer": 0.0},
                {"id": "t1", "producer": "a1", "consumers": ["b1"], "size": size, "transfer": lag},
            ],
        ),
        cluster=build_cluster([{"id": "d0"}, {"id": "d1"}]),
    )


def test_parts_that_differ_in_anything_are_not_interchangeable():
    assert chains_of(two_chains([1, 2, 1, 2])) == [[0, 2], [1, 3]]
    assert chains_of(two_chains([1, 2, 1, 3])) == []
    assert chains_of(two_chains([1, 2, 1, 2], lag=0.5)) == []
    assert chains_of(two_chains([1, 2, 1, 2], size=2.0)) == []


def test_micro_batches_of_unlike_costs_have_no_chains():
    problem = pipeline(2, 4, "bidirectional")
    graph = problem.template
    unlike = replace(graph, duration=graph.duration + 0.25 * graph.micro_batch)
    assert chains_of(replace(problem, template=unlike)) == []


def test_twins_within_a_part_leave_it_out():
    """Both consumers look alike, so which of them corresponds to which is not unique."""
    operators = [{"id": f"{x}{i}", "duration": 1.0} for i in range(2) for x in "abc"]
    tensors = [
        {"id": f"t{i}", "producer": f"a{i}", "consumers": [f"b{i}", f"c{i}"]} for i in range(2)
    ]
    problem = Problem(
        template=build_graph(operators, tensors), cluster=build_cluster([{"id": "d0"}])
    )
    assert chains_of(problem) == []


@st.composite
def simulated_pipelines(draw):
    problem = pipeline(
        draw(st.integers(2, 3)),
        draw(st.integers(2, 5)),
        draw(st.sampled_from(["linear", "v", "bidirectional"])),
        forward=draw(st.sampled_from([1.0, 2.0])),
        backward_weight=draw(st.sampled_from([0.5, 1.0])),
        transfer=draw(st.sampled_from([0.0, 0.5])),
        released_by_input=draw(st.sampled_from([0.0, 0.5, 1.0])),
    )
    order = draw(orders(problem, problem.fixed_device))
    return problem, simulate(problem, problem.fixed_device, order)


@settings(max_examples=60, deadline=None)
@given(simulated_pipelines())
def test_starting_chains_in_order_keeps_every_rule(drawn):
    """Memory too: no device's peak grows."""
    problem, schedule = drawn
    limits = np.array([profile.peak for profile in memory_profiles(problem, schedule)])
    tight = problem.with_memory(limits)
    assert not validate(tight, schedule)
    tasks = compile_tasks(tight, schedule.device)
    start = tasks.start_times(schedule)
    for chain in identical_chains(tasks):
        start[chain] = np.sort(start[chain])
    ordered = tasks.schedule(start)
    assert not validate(tight, ordered)
    assert ordered.makespan == schedule.makespan
