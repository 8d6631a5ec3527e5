"""ONNX models give the FLOPs, weights and shapes their authors publish, at any batch size."""

import contextlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from planner_core.formats import parse_problem_file  # noqa: E402
from planner_core.formats.onnx import parse_forward, parse_problem, sniff  # noqa: E402
from planner_core.problem import InputError  # noqa: E402
from planner_core.problem.clusters import mixed  # noqa: E402
from planner_core.problem.hardware import MIB, CostModel  # noqa: E402
from planner_core.workloads import training  # noqa: E402

LIGHT = Path(importlib.util.find_spec("onnx").origin).parent / "backend/test/data/light"


def light(name):
    path = LIGHT / f"light_{name}.onnx"
    if not path.exists():
        pytest.skip("this onnx package comes without the light models")
    return path.read_bytes()


def small(nodes=None, shape=(1, 4), extra=(), output="y"):
    """Return y = relu(x W) W', with W' made of a constant node."""
    w = helper.make_tensor("w", TensorProto.FLOAT, [4, 8], np.zeros(32))
    nodes = nodes or [
        helper.make_node("ConstantOfShape", ["s"], ["v"], name="fill"),
        helper.make_node("MatMul", ["x", "w"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["r"], name="relu"),
        helper.make_node("MatMul", ["r", "v"], [output], name="second"),
    ]
    s = helper.make_tensor("s", TensorProto.INT64, [2], [8, 3])
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [w, s, *extra],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def test_a_small_model_by_hand():
    forward = parse_forward(small(), element_bytes=4)
    graph = forward.problem.template
    assert graph.operator_ids.tolist() == ["first", "relu", "second"]
    assert forward.flops.tolist() == [2 * 4 * 8, 8, 2 * 8 * 3]
    assert (graph.size * MIB).tolist() == [32, 32, 12]
    # Weights count 2 bytes each; the folded constant is a weight of its reader.
    assert (graph.group_size * MIB).tolist() == [64, 48]
    assert graph.is_output.tolist() == [False, False, True]
    # x for the first product; relu keeps its result, which the second product shares.
    assert (forward.saved_weight * MIB).tolist() == [16, 0, 0]
    assert (forward.saved_input * MIB).tolist() == [0, 32, 0]
    assert forward.backward_weight.tolist() == [1, 0, 1]


def test_a_product_of_two_activations_has_twice_its_work_in_its_backward():
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0], name="t"),
        helper.make_node("MatMul", ["x", "t"], ["y"], name="p"),
    ]
    forward = parse_forward(small(nodes, shape=(3, 4)), batch=3, element_bytes=4)
    assert forward.flops.tolist() == [0, 2 * 9 * 4]
    assert forward.backward_input[1] == 2
    assert (forward.saved_input * MIB).tolist() == [0, 2 * 48]


@pytest.mark.parametrize(
    ("name", "gmacs", "parameters", "operators"),
    [
        ("resnet50", 4.1, 25.56, 176),  # He et al. 2016; torchvision lists 25.6 M, 4.09 G
        ("vgg19", 19.6, 143.67, 46),  # Simonyan, Zisserman 2015; torchvision 143.7 M, 19.6 G
        ("densenet121", 2.85, 8.0, 668),  # Huang et al. 2017; torchvision 8.0 M, 2.83 G
        ("squeezenet", 0.35, 1.24, 66),  # Iandola et al. 2016, version 1.1
        ("inception_v1", 1.5, 7.0, 143),  # Szegedy et al. 2015
        ("bvlc_alexnet", 0.66, 60.97, 24),  # Krizhevsky et al. 2012, with its groups
    ],
)
def test_published_models_have_their_published_size(name, gmacs, parameters, operators):
    forward = parse_forward(light(name))
    graph = forward.problem.template
    assert graph.n_operators == operators
    assert forward.flops.sum() / 2e9 == pytest.approx(gmacs, rel=0.05)
    assert graph.group_size.sum() * MIB / 2 / 1e6 == pytest.approx(parameters, rel=0.02)


@pytest.mark.parametrize("name", ["inception_v2", "shufflenet", "zfnet512"])
def test_every_light_model_reads_and_trains(name):
    forward = parse_forward(light(name), micro_batches=2)
    made = training(forward)
    assert made.micro_batches == 2
    assert made.template.n_operators > 2 * forward.problem.template.n_operators


def test_batch_scales_work_and_activations_but_not_weights():
    one, eight = (parse_forward(light("resnet50"), batch=b) for b in (1, 8))
    assert eight.flops.sum() == pytest.approx(8 * one.flops.sum())
    assert eight.saved_input.sum() == pytest.approx(8 * one.saved_input.sum())
    a, b = one.problem.template, eight.problem.template
    assert b.size.sum() == pytest.approx(8 * a.size.sum())
    assert b.group_size.sum() == a.group_size.sum()
    assert b.duration.sum() < 8 * a.duration.sum()  # weights are read once


def test_durations_follow_the_device_types_and_efficiencies():
    cluster = mixed({"A100": 1, "H100": 1})
    slow = parse_forward(small(), cluster=cluster, cost=CostModel(launch_overhead=1e-3))
    table = slow.problem.template.duration_by_type
    assert slow.problem.template.type_names == ("A100", "H100")
    assert np.all(table >= 1.0)
    assert np.all(table[:, 0] > table[:, 1])


def test_open_dimensions():
    data = small(shape=("N", 4))
    assert parse_forward(data, batch=5).flops[0] == 5 * 2 * 4 * 8
    with pytest.raises(InputError, match=r"input 'x' .* leaves dimension 'width' open"):
        parse_problem(small(shape=(1, "width")))
    assert parse_forward(small(shape=(1, "width")), dimensions={"width": 4}).flops[0] == 64


def test_the_kind_of_file_is_told_by_its_content():
    assert sniff(small())
    assert parse_problem_file(small()).template.n_operators == 3
    assert not sniff(b'{"a": 1}')
    assert not sniff(b"")


def test_external_data_is_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outside = helper.make_tensor("w2", TensorProto.FLOAT, [4, 2], np.zeros(8))
    outside.ClearField("float_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/passwd")
    nodes = [helper.make_node("MatMul", ["x", "w2"], ["y"], name="p")]
    problem = parse_problem(small(nodes, extra=[outside]))
    assert problem.template.group_size.tolist() == [16 / MIB]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([helper.make_node("Relu", ["q"], ["y"], name="n")], "node 'n' .* reads 'q'"),
        (
            [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Relu", ["x"], ["y"])],
            "'y' .* made twice",
        ),
        (
            [
                helper.make_node("Mystery", ["x"], ["m"], name="n"),
                helper.make_node("Relu", ["m"], ["y"]),
            ],
            "shape of 'm', made by node 'n'",
        ),
        ([helper.make_node("Constant", [], ["y"], value_float=1.0)], "depends on its inputs"),
    ],
)
def test_models_that_cannot_be_planned_are_refused(nodes, message):
    with pytest.raises(InputError, match=message):
        parse_problem(small(nodes))


def test_settings_and_garbage_are_refused():
    with pytest.raises(InputError, match="batch and element_bytes"):
        parse_problem(small(), batch=0)
    with pytest.raises(InputError, match="MiB"):
        parse_problem(small(), max_bytes=10)
    with pytest.raises(InputError, match=r"not an ONNX model|no nodes"):
        parse_problem(b"\x08\x07\x12\x00garbage")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_models_raise_input_errors_only(data):
    content = bytearray(small())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        parse_problem(bytes(content))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_raise_input_errors_only(content):
    with contextlib.suppress(InputError):
        parse_problem(content)
