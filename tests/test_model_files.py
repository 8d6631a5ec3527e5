from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from planner_core.cli import main
from planner_core.formats import read_problem_file, write_problem_file
from planner_core.model_files import ModelSettings, read_model_file
from planner_core.problem import InputError
from planner_core.workloads import pipeline, random_layered


def squeezenet() -> Path:
    onnx = pytest.importorskip("onnx")
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    path = folder / "light_squeezenet.onnx"
    if not path.exists():
        pytest.skip("this onnx package brings no light models")
    return path


def test_a_model_becomes_a_training_problem():
    settings = ModelSettings(
        batch=8, micro_batches=4, devices=3, device_type="A100", link="PCIe 4", training=True
    )
    problem = read_model_file(squeezenet(), settings)
    single = read_model_file(squeezenet(), ModelSettings(device_type="A100"))
    assert problem.micro_batches == 4
    assert problem.cluster.device_types == ("A100",) * 3
    assert problem.template.n_operators > 2 * single.template.n_operators
    assert single.n_devices == 4
    forward = problem.durations[: single.template.n_operators, 0]
    assert np.all(forward >= single.durations[:, 0])


def test_settings_of_costs_are_for_models_only(tmp_path):
    path = tmp_path / "p.json"
    write_problem_file(random_layered(6, 2, seed=0), path)
    with pytest.raises(InputError, match="--device-type is for ONNX"):
        read_model_file(path, ModelSettings(device_type="H100"))
    with pytest.raises(InputError, match="--launch-overhead is for ONNX"):
        read_model_file(path, ModelSettings(launch_overhead=0))
    trained = read_model_file(path, ModelSettings(training=True, micro_batches=3))
    assert trained.graph.n_operators > 3 * 6


def test_efficiencies_decide_durations_and_links():
    peak = ModelSettings(
        compute_efficiency=1, memory_efficiency=1, link_efficiency=1, launch_overhead=0
    )
    half = replace(peak, compute_efficiency=0.5, memory_efficiency=0.5, link_efficiency=0.5)
    late = replace(peak, launch_overhead=7)
    durations = [read_model_file(squeezenet(), s).durations[:, 0] for s in (peak, half, late)]
    assert durations[1] == pytest.approx(2 * durations[0])
    assert durations[2] == pytest.approx(durations[0] + 7e-3)
    assert half.cluster.bandwidth[0, 1] * 2 == peak.cluster.bandwidth[0, 1]
    assert "compute efficiency 0.5" in half.words
    with pytest.raises(InputError, match="link_efficiency is 1"):
        read_model_file(squeezenet(), ModelSettings(link_efficiency=1.5))


def test_every_setting_reaches_the_model_from_the_command_line(tmp_path, capsys):
    target = tmp_path / "out.json"
    flags = ["--compute-efficiency", "0.5", "--memory-efficiency", "0.4",
             "--link-efficiency", "0.3", "--launch-overhead", "20"]  # fmt: skip
    assert main(["convert", str(squeezenet()), str(target), *flags]) == 0
    settings = ModelSettings(
        compute_efficiency=0.5, memory_efficiency=0.4, link_efficiency=0.3, launch_overhead=20
    )
    wanted, made = read_model_file(squeezenet(), settings), read_problem_file(target)
    assert made.durations == pytest.approx(wanted.durations)
    assert made.cluster.bandwidth[0, 1] == pytest.approx(wanted.cluster.bandwidth[0, 1])
    assert main(["convert", str(squeezenet()), str(target), "--compute-efficiency", "2"]) == 2
    assert "compute_efficiency is 2" in capsys.readouterr().err


def test_micro_batches_cannot_be_repeated_twice(tmp_path):
    path = tmp_path / "p.json"
    write_problem_file(pipeline(2, 4, "bidirectional"), path)
    with pytest.raises(InputError, match="micro_batch"):
        read_model_file(path, ModelSettings(micro_batches=2))


def test_convert_makes_a_training_problem(tmp_path, capsys):
    target = tmp_path / "out.json"
    code = main(
        ["convert", str(squeezenet()), str(target), "--training", "--micro-batches", "2",
         "--devices", "2", "--batch", "4"]
    )  # fmt: skip
    assert code == 0, capsys.readouterr().err
    problem = read_problem_file(target)
    assert problem.micro_batches == 2
    assert problem.n_devices == 2


def test_compare_runs_expert_schedules_on_derived_stages(tmp_path, capsys):
    path = tmp_path / "p.json"
    write_problem_file(random_layered(10, 2, seed=4), path)
    flags = ["--training", "--micro-batches", "4"]
    assert main(["baseline", "1f1b", str(path), *flags]) == 0
    assert "1F1B" in capsys.readouterr().out
    main(["compare", str(path), *flags, "--with", "1f1b,v-half,heft", "--time-limit", "2"])
    shown = capsys.readouterr().out  # the time may be too short for a plan
    assert "2 derived stages" in shown
    assert "4 derived stages" in shown
