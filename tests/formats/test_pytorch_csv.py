import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_core.baselines import run_baseline
from planner_core.formats.pytorch_csv import pytorch_csv
from planner_core.problem import NotApplicable
from planner_core.schedule import Schedule
from planner_core.workloads import pipeline, random_layered


def export(problem, name):
    result = run_baseline(name, problem)
    return pytorch_csv(result.problem, result.schedule)


def test_1f1b_of_two_stages():
    problem = pipeline(2, 3, backward=2.0)
    assert export(problem, "1f1b") == "0F0,0F1,0B0,0F2,0B1,0B2\n1F0,1B0,1F1,1B1,1F2,1B2\n"


@given(st.integers(1, 5), st.integers(2, 8), st.sampled_from(["linear", "v", "interleaved"]))
def test_every_action_is_listed_once_on_its_rank(devices, batches, placement):
    problem = pipeline(devices, batches, placement)
    graph = problem.graph
    result = run_baseline("gpipe", problem)
    lines = pytorch_csv(result.problem, result.schedule).splitlines()
    assert len(lines) == devices
    found = [(k, action) for k, line in enumerate(lines) for action in line.split(",")]
    letters = {"F": 0, "I": 1, "W": 2}
    wanted = [
        (int(result.schedule.device[o]), f"{graph.stage[o]}{letter}{graph.micro_batch[o]}")
        for o in range(graph.n_operators)
        for letter in letters
        if str(graph.operator_ids[o]).startswith(letter)
    ]
    assert sorted(found) == sorted(wanted)


def test_a_stage_on_two_ranks_is_refused():
    problem = pipeline(4, 8, "bidirectional")
    with pytest.raises(NotApplicable, match="stage 0 runs on gpu0, gpu3"):
        export(problem, "dualpipe-sequential")


def test_what_is_no_pipeline_is_refused():
    with pytest.raises(NotApplicable, match="stage"):
        export(random_layered(6, seed=1), "heft")


def test_actions_that_overlap_are_refused():
    problem = pipeline(1, 2)
    given_schedule = run_baseline("gpipe", problem).schedule
    wrong = Schedule(
        device=given_schedule.device,
        start=given_schedule.start * 0,
        finish=given_schedule.finish,
        transfers=given_schedule.transfers,
    )
    with pytest.raises(NotApplicable, match="one action after the other"):
        pytorch_csv(problem, wrong)


def test_pytorch_reads_it():
    schedules = pytest.importorskip("torch.distributed.pipelining.schedules")
    line = export(pipeline(2, 3), "1f1b").splitlines()[0]
    actions = [schedules._Action.from_str(text) for text in line.split(",")]
    assert all(action.stage_index == 0 for action in actions)
