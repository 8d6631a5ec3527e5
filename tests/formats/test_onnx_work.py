"""FLOPs of single ONNX operators against their definitions."""

import pytest

from planner_core.formats.onnx_work import saved_tensors, work_of


@pytest.mark.parametrize(
    ("op", "attributes", "inputs", "output", "flops"),
    [
        ("Conv", {}, [(1, 3, 8, 8), (16, 3, 3, 3)], (1, 16, 8, 8), 2 * 16 * 64 * 27),
        ("Conv", {"group": 4}, [(1, 4, 8, 8), (4, 1, 3, 3)], (1, 4, 8, 8), 2 * 4 * 64 * 9),
        ("ConvTranspose", {}, [(1, 8, 4, 4), (8, 2, 2, 2)], (1, 2, 8, 8), 2 * 8 * 16 * 8),
        ("MatMul", {}, [(5, 2, 3), (5, 3, 4)], (5, 2, 4), 2 * 40 * 3),
        ("Gemm", {"transA": 1}, [(3, 2), (3, 4)], (2, 4), 2 * 8 * 3),
        ("Gemm", {"transB": 1}, [(2, 3), (4, 3)], (2, 4), 2 * 8 * 3),
        ("MaxPool", {"kernel_shape": [3, 3]}, [(1, 2, 8, 8)], (1, 2, 4, 4), 32 * 9),
        ("LSTM", {"hidden_size": 4}, [(5, 2, 3), (1, 16, 3)], (5, 1, 2, 4), 5 * 2 * 8 * 4 * 7),
        ("GlobalAveragePool", {}, [(1, 2, 8, 8)], (1, 2, 1, 1), 128),
        ("Sum", {}, [(2, 3)] * 3, (2, 3), 12),
        ("Add", {}, [(2, 3), (3,)], (2, 3), 6),
        ("Concat", {}, [(2, 3), (2, 3)], (4, 3), 0),
        ("Conv", {}, [None, (16, 3, 3, 3)], (1, 16, 8, 8), 0),
        ("Whatever", {}, [], None, 0),
    ],
)
def test_flops(op, attributes, inputs, output, flops):
    assert work_of(op, attributes, inputs, [output], True).flops == flops


def test_saved_activations():
    assert saved_tensors("Conv", ["x"], ["y"], True) == ([], ["x"])
    assert saved_tensors("MatMul", ["x", "z"], ["y"], False) == (["x", "z"], [])
    assert saved_tensors("Relu", ["x"], ["y"], False) == (["y"], [])
    assert saved_tensors("Add", ["x", "z"], ["y"], False) == ([], [])
    assert saved_tensors("Mul", ["x", "z"], ["y"], False) == (["x", "z"], [])
