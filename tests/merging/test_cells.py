import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.baselines import expert_schedules, run_baseline, templates
from planner_core.merging import Cells, derived_stages
from planner_core.problem import Cluster, InputError, NotApplicable, Problem, build_graph
from planner_core.problem.pipeline import PipelineView
from planner_core.schedule import memory_profiles, resident_memory, validate
from planner_core.workloads import pipeline, random_layered, training


@st.composite
def placed_pipelines(draw):
    k = draw(st.integers(2, 3))
    forward = random_layered(draw(st.integers(6, 14)), k, seed=draw(st.integers(0, 999)))
    problem = training(forward, micro_batches=draw(st.integers(1, 4)), colocate=False)
    placement = draw(st.sampled_from(["linear", "v", "bidirectional"]))
    try:
        return derived_stages(problem, placement=placement, placed=True)
    except NotApplicable:
        return derived_stages(problem, placed=True)


@settings(deadline=None, max_examples=40)
@given(placed_pipelines())
def test_expanded_schedules_are_valid_and_no_longer_than_the_cells(full):
    cells = Cells.of(full)
    assert sorted(o for cell in cells.members for o in cell) == list(range(full.graph.n_operators))
    found = list(templates(cells.problem)) + list(expert_schedules(cells.problem))
    assert found
    for _, schedule in found:
        expanded = cells.expand(schedule)
        assert not validate(full, expanded)
        assert expanded.makespan <= schedule.makespan * (1 + 1e-9)


@settings(deadline=None, max_examples=40)
@given(placed_pipelines())
def test_cells_carry_the_work_and_the_parameters_of_their_operators(full):
    cells = Cells.of(full)
    own = full.durations[np.arange(full.graph.n_operators), full.fixed_device]
    load = np.bincount(full.fixed_device, own, minlength=full.n_devices)
    merged = cells.problem
    times = merged.durations[np.arange(merged.graph.n_operators), merged.fixed_device]
    assert np.bincount(merged.fixed_device, times, minlength=full.n_devices) == pytest.approx(load)
    assert resident_memory(merged, merged.fixed_device) == pytest.approx(
        resident_memory(full, full.fixed_device)
    )
    assert PipelineView.of(merged).n_stages == PipelineView.of(full).n_stages


def test_a_pipeline_of_single_operators_is_its_own_cells():
    full = pipeline(3, 4, forward=2.0, backward_input=3.0, transfer=0.5, memory=3.0)
    cells = Cells.of(full)
    assert sorted(cells.problem.graph.operator_ids) == sorted(full.graph.operator_ids)
    assert cells.problem.graph.n_tensors == full.graph.n_tensors
    schedule = run_baseline("zb-h1", cells.problem).schedule
    assert cells.expand(schedule).makespan == pytest.approx(schedule.makespan)


def test_memory_inside_a_cell_is_its_workspace():
    operators = [
        {"id": "a", "duration": 1, "kind": "forward", "stage": 0, "devices": ["gpu0"]},
        {
            "id": "b", "duration": 1, "kind": "forward", "stage": 0, "devices": ["gpu0"],
            "workspace": 2.0,
        },
        {"id": "c", "duration": 1, "kind": "forward", "stage": 0, "devices": ["gpu0"]},
        {"id": "B", "duration": 1, "kind": "backward", "stage": 0, "devices": ["gpu0"]},
    ]  # fmt: skip
    tensors = [
        {"id": "ab", "producer": "a", "consumers": ["b"], "size": 5.0},
        {"id": "bc", "producer": "b", "consumers": ["c"], "size": 4.0},
        {"id": "aB", "producer": "a", "consumers": ["B"], "size": 3.0},
    ]
    full = Problem(template=build_graph(operators, tensors), cluster=Cluster.uniform(1))
    cells = Cells.of(full)
    assert cells.problem.graph.workspace.tolist() == [11.0, 0.0]
    assert cells.problem.graph.size.tolist() == [3.0]
    _, schedule = next(iter(templates(cells.problem)))
    peaks = [memory_profiles(p, s)[0].peak for p, s in (
        (full, cells.expand(schedule)), (cells.problem, schedule)
    )]  # fmt: skip
    assert peaks == [14.0, 14.0]


def test_free_operators_have_no_cells():
    problem = training(random_layered(8, 2, seed=1))
    with pytest.raises(InputError, match="place every operator"):
        Cells.of(problem)
