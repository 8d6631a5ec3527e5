"""What an ONNX node does: FLOPs, whether it only renames its input, what its backward needs.

Operator semantics: the ONNX operator reference (onnx.ai/onnx/operators). A multiply-add counts
as two FLOPs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Shape = tuple[int, ...]

VIEWS = frozenset(
    {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Shape", "Size", "Cast"}
)
"""Nodes that move no data (a cast is fused into what reads it)."""

_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "ConvInteger", "MatMulInteger"})

_MOVES = frozenset(
    {
        *VIEWS,
        *("Concat", "Split", "Slice", "Gather", "GatherND", "GatherElements", "Scatter"),
        *("ScatterND", "ScatterElements", "Transpose", "Expand", "Tile", "Pad", "Where"),
        *("DepthToSpace", "SpaceToDepth", "Resize", "Upsample", "Range", "OneHot", "NonZero"),
    }
)

_SAVE_NOTHING = frozenset(
    {
        *_MOVES,
        *("Add", "Sub", "Sum", "Neg", "Mean", "AveragePool", "GlobalAveragePool", "Dropout"),
        *("ReduceSum", "ReduceMean", "CumSum", "Sign", "Floor", "Ceil", "Round", "ArgMax"),
        *("Equal", "Greater", "Less", "And", "Or", "Not", "EmbedLayerNormalization"),
    }
) - {"Where"}

_SAVE_OUTPUT = frozenset(
    {
        *("Relu", "LeakyRelu", "Sigmoid", "Tanh", "Softmax", "LogSoftmax", "Exp", "Sqrt"),
        *("HardSigmoid", "Elu", "Selu"),
    }
)

_PER_ELEMENT = {
    "Softmax": 5.0,
    "LogSoftmax": 5.0,
    "LRN": 7.0,
    "BatchNormalization": 2.0,  # at inference a scale and a shift
    "LayerNormalization": 8.0,
    "InstanceNormalization": 8.0,
    "GroupNormalization": 8.0,
    "RMSNormalization": 5.0,
    "Gelu": 8.0,
    "Erf": 8.0,
    "Sigmoid": 4.0,
    "Tanh": 6.0,
}
"""FLOPs per output element where it is not one; such nodes are bound by memory anyway."""

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True)
class Work:
    """FLOPs of a node, and its backward parts' time over its forward's."""

    flops: float
    backward_input: float = 1.0
    backward_weight: float = 1.0


def elements(shape: Sequence[int]) -> float:
    """Return the number of elements of a shape."""
    return float(math.prod(float(d) for d in shape))


def work_of(
    op_type: str,
    attributes: Mapping[str, object],
    inputs: Sequence[Shape | None],
    outputs: Sequence[Shape | None],
    weighted: bool,
) -> Work:
    """Return the work of a node.

    Parameters
    ----------
    op_type : str
    attributes : mapping
        Integers and lists of integers of the node.
    inputs, outputs : sequences of shapes
        None where a shape is not known.
    weighted : bool
        Whether one of the inputs is a weight: a product of two activations has twice its work
        in the input part of its backward, one with a weight has one product in each part.

    Returns
    -------
    Work
    """
    out = elements(outputs[0]) if outputs and outputs[0] is not None else 0.0
    first = inputs[0] if inputs else None
    second = inputs[1] if len(inputs) > 1 else None
    if op_type in _PRODUCTS:
        flops = _product(op_type, attributes, out, first, second)
        return Work(flops, 1.0 if weighted else 2.0, 1.0)
    if op_type in _GATES and first is not None and len(first) == 3:
        return Work(_recurrent(op_type, attributes, first))
    if op_type in ("MaxPool", "AveragePool", "LpPool"):
        kernel = attributes.get("kernel_shape", ())
        taps = elements(kernel) if isinstance(kernel, list | tuple) else 1.0
        return Work(out * taps)
    if op_type.startswith(("Global", "Reduce")) and first is not None:
        return Work(elements(first))
    if op_type in ("Sum", "Mean", "Max", "Min"):
        return Work(out * max(1, len(inputs) - 1))
    if op_type in _MOVES:
        return Work(0.0)
    return Work(out * _PER_ELEMENT.get(op_type, 1.0), 1.0, 0.5)


def _product(
    op_type: str,
    attributes: Mapping[str, object],
    out: float,
    first: Shape | None,
    second: Shape | None,
) -> float:
    if first is None or second is None:
        return 0.0
    if op_type.startswith("ConvTranspose"):
        return 2.0 * elements(first) * elements(second[1:])
    if op_type.startswith("Conv"):
        return 2.0 * out * elements(second[1:])  # weights: out × in / group × kernel
    if not first:
        return 0.0
    transposed = op_type == "Gemm" and bool(attributes.get("transA", 0))
    return 2.0 * out * (first[0] if transposed else first[-1])


def _recurrent(op_type: str, attributes: Mapping[str, object], first: Shape) -> float:
    steps, batch, features = first
    hidden = attributes.get("hidden_size", 0)
    width = hidden if isinstance(hidden, int) else 0
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    per_step = 2.0 * _GATES[op_type] * width * (features + width)
    return directions * steps * batch * per_step


def saved_tensors(
    op_type: str, inputs: Sequence[str], outputs: Sequence[str], weighted: bool
) -> tuple[list[str], list[str]]:
    """Return the activations a node keeps for its input part and for its weight part.

    Parameters
    ----------
    op_type : str
    inputs, outputs : sequences of str
        Activations only, weights left out.
    weighted : bool

    Notes
    -----
    Products keep what they multiply, activations whose slope follows from the result keep the
    result, sums and moves keep nothing, everything else keeps its inputs.
    """
    if op_type in _PRODUCTS or op_type in _GATES:
        return ([], list(inputs)) if weighted else (list(inputs), [])
    if op_type in _SAVE_NOTHING:
        return [], []
    if op_type in _SAVE_OUTPUT:
        return list(outputs[:1]), []
    return list(inputs), []
