"""The registry: names, settings, and what it says about a schedule that does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from planner_core.baselines import (
    REGISTRY,
    Baseline,
    Registry,
    all_baselines,
    available,
    fitting_schedules,
    run_baseline,
)
from planner_core.problem import InputError, NotApplicable, Problem, build_cluster, build_graph
from planner_core.schedule import Schedule, validate
from planner_core.workloads.pipeline import pipeline

PIPELINE_NAMES = [
    "gpipe",
    "1f1b",
    "interleaved-1f1b",
    "zb-h1",
    "zb-h2",
    "zb-greedy",
    "zb-v",
    "v-half",
    "v-min",
    "dualpipe",
    "dualpipe-sequential",
    "dualpipev",
    "dualpipev-sequential",
    "chimera",
    "hanayo",
]


def test_names_titles_and_references_are_there():
    names = [baseline.name for baseline in REGISTRY]
    assert names[: len(PIPELINE_NAMES)] == PIPELINE_NAMES
    assert all(baseline.title and baseline.reference for baseline in REGISTRY)
    assert REGISTRY["zb-1p"] is REGISTRY["zb-h1"]
    assert REGISTRY["zb-2p"] is REGISTRY["zb-h2"]


def test_an_unknown_name_or_setting_says_what_there_is():
    problem = pipeline(2, 4)
    with pytest.raises(InputError, match=r"no baseline 'zb'; choose from gpipe, 1f1b"):
        run_baseline("zb", problem)
    with pytest.raises(InputError, match="no setting 'speed'; its settings: chunks"):
        run_baseline("interleaved-1f1b", problem, speed=1)
    with pytest.raises(InputError, match="overlapped_pair is 0"):
        run_baseline("dualpipe", pipeline(2, 4, "bidirectional"), overlapped_pair=0)
    with pytest.raises(InputError, match="chunks is 0"):
        run_baseline("interleaved-1f1b", problem, chunks=0)
    with pytest.raises(InputError, match="waves is 0"):
        run_baseline("hanayo", problem, waves=0)


def test_a_taken_name_is_refused():
    record = Baseline(
        name="x",
        title="X",
        reference="none",
        schedule=lambda problem: (problem, Schedule(**{})),
        applies=lambda problem: True,
        aliases=("y",),
    )
    registry = Registry([record])
    with pytest.raises(ValueError, match="'x' is registered twice"):
        registry.add(record)


@pytest.mark.parametrize(
    ("name", "problem", "message"),
    [
        ("dualpipe", pipeline(7, 20), "DualPipe needs an even number of devices; there are 7"),
        ("dualpipe", pipeline(8, 14), "at least 2 per device; there are 14 on 8 devices"),
        ("chimera", pipeline(3, 6), "Chimera needs an even number of devices; there are 3"),
        ("chimera", pipeline(4, 7), "even number of micro-batches; there are 7"),
        (
            "interleaved-1f1b",
            pipeline(4, 6, "interleaved"),
            "needs micro-batches divisible by the 4 devices; there are 6",
        ),
        ("interleaved-1f1b", pipeline(4, 8), "needs stages divisible by 8; there are 4"),
        ("zb-v", pipeline(4, 8), "ZB-V needs stages divisible by 8"),
        ("hanayo", pipeline(4, 8), "Hanayo with 1 waves needs stages divisible by 8"),
        ("dualpipev", pipeline(4, 7, "v"), "at least 2 micro-batches per device; there are 7"),
        ("zb-h1", pipeline(4, 8, backward=2.0), "splits the backward"),
        ("zb-greedy", pipeline(4, 8, memory=0.5), "cannot keep within this memory limit"),
    ],
)
def test_what_does_not_apply_says_why_instead_of_vanishing(name, problem, message):
    with pytest.raises(NotApplicable, match=message):
        run_baseline(name, problem)
    assert name in [row[0] for row in available(problem)]
    assert name not in [result.name for result in all_baselines(problem)]


def test_available_gives_the_reason_or_none():
    rows = {name: reason for name, _, reason in available(pipeline(7, 20))}
    assert rows["1f1b"] is None
    assert "even number of devices" in rows["dualpipe"]


def test_stages_that_do_not_divide_over_the_devices():
    rows = [
        {"id": f"{k[0]}{s}", "duration": 1, "kind": k, "stage": s}
        for s in range(3)
        for k in ("forward", "backward")
    ]
    problem = Problem(template=build_graph(rows), cluster=build_cluster([{"id": "a"}, {"id": "b"}]))
    with pytest.raises(NotApplicable, match="3 stages do not divide"):
        run_baseline("1f1b", problem)


def test_too_little_memory_names_the_worst_device_and_both_numbers():
    problem = pipeline(8, 20, "bidirectional", memory=8)
    result = run_baseline("dualpipe", problem)
    assert not result.fits
    assert not result.own_placement
    assert result.reason == "needs 9 activations on gpu0; the limit is 8"
    assert result.over_memory[0] == ("gpu0", 9.0, 8.0)
    assert {v.rule for v in result.violations} == {"memory"}
    assert run_baseline("dualpipe", pipeline(8, 20, "bidirectional", memory=9)).fits


def test_another_placement_is_a_comparison_only():
    problem = pipeline(4, 8, "bidirectional")
    result = run_baseline("1f1b", problem)
    assert result.own_placement
    assert not result.fits
    assert result.reason == ("stages are placed otherwise: 1F1B runs on its own linear placement")
    assert result.schedule.makespan == 33
    assert np.array_equal(result.problem.graph.duration, problem.graph.duration)


def test_the_users_own_order_of_devices_is_followed():
    problem = pipeline(4, 8)
    shuffled = problem.with_placement(np.array([2, 0, 3, 1])[problem.fixed_device])
    for name in ("1f1b", "zb-h1", "gpipe"):
        assert run_baseline(name, shuffled).fits
    flipped = pipeline(4, 8, "bidirectional")
    flipped = flipped.with_placement(3 - flipped.fixed_device)
    for name in ("dualpipe", "chimera"):
        assert run_baseline(name, flipped).fits


def test_the_users_own_direction_of_each_micro_batch_is_followed():
    problem = pipeline(4, 8, "bidirectional")
    even = problem.graph.micro_batch % 2 == 0
    device = np.where(even, problem.graph.stage, 3 - problem.graph.stage)
    result = run_baseline("dualpipe", problem.with_placement(device))
    assert result.fits
    assert result.schedule.makespan == run_baseline("dualpipe", problem).schedule.makespan


def test_consecutive_stages_run_as_one():
    problem = pipeline(4, 8, "v")
    result = run_baseline("1f1b", problem)
    assert np.array_equal(result.schedule.device, problem.graph.stage // 2)
    assert result.schedule.makespan == 2 * 33


def test_hosts_are_no_pipeline_devices():
    template = pipeline(2, 4).template
    rows = [{"id": o.id, "duration": 1, "kind": o.kind, "stage": o.stage} for o in template]
    tensors = [
        {
            "id": template.tensor_ids[t],
            "producer": template.operator_ids[template.producer[t]],
            "consumers": template.operator_ids[template.consumers_of(t)].tolist(),
        }
        for t in range(template.n_tensors)
    ]
    cluster = build_cluster([{"id": "cpu", "host": True}, {"id": "a"}, {"id": "b"}])
    problem = Problem(template=build_graph(rows, tensors), cluster=cluster, micro_batches=4)
    result = run_baseline("1f1b", problem)
    assert set(result.schedule.device.tolist()) == {1, 2}
    assert result.fits


def test_optimizer_steps_run_last_on_their_stage():
    base = pipeline(2, 2, "bidirectional").graph
    rows = [
        {
            "id": o.id,
            "duration": 1,
            "kind": o.kind,
            "stage": o.stage,
            "micro_batch": o.micro_batch,
        }
        for o in base
    ]
    tensors = [
        {
            "id": base.tensor_ids[t],
            "producer": base.operator_ids[base.producer[t]],
            "consumers": base.operator_ids[base.consumers_of(t)].tolist(),
        }
        for t in range(base.n_tensors)
    ]
    for s in range(2):
        rows.append({"id": f"S{s}", "duration": 1, "kind": "optimizer", "stage": s})
    problem = Problem(
        template=build_graph(rows, tensors), cluster=build_cluster([{"id": "a"}, {"id": "b"}])
    )
    result = run_baseline("1f1b", problem)
    schedule = result.schedule
    for s in range(2):
        step = problem.graph.operator_index[f"S{s}"]
        assert schedule.start[step] == schedule.finish[schedule.device == s].max() - 1
    assert result.fits


def test_every_fitting_schedule_is_valid():
    problem = pipeline(4, 8, "v", memory=8)
    found = list(fitting_schedules(problem))
    names = [name for name, _ in found]
    assert "ZB-V" in names
    assert "1F1B" not in names
    for _, schedule in found:
        assert not validate(problem, schedule)


def test_fitting_schedules_of_a_graph_without_stages_come_from_list_schedulers():
    problem = Problem(
        template=build_graph([{"id": "x", "duration": 1}, {"id": "y", "duration": 2}]),
        cluster=build_cluster([{"id": "a"}, {"id": "b"}]),
    )
    assert min(schedule.makespan for _, schedule in fitting_schedules(problem)) == 2
