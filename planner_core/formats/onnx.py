"""ONNX models: one operator per node, sizes from shape inference, times from the cost model.

Needs the extra ``onnx``. Weights stay in the file: only their shapes are read, and external data
files are never opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from planner_core.formats.json_text import UPLOAD_LIMIT, check_size
from planner_core.formats.onnx_work import VIEWS, Shape, elements, saved_tensors, work_of
from planner_core.problem import Cluster, InputError, NotApplicable, Problem
from planner_core.problem.clusters import homogeneous
from planner_core.problem.forward import Forward, ForwardBuilder
from planner_core.problem.hardware import CostModel

if TYPE_CHECKING:
    import onnx

MAX_NODES = 1_000_000
"""Most nodes a model may have."""

MAX_ELEMENTS = 2.0**53
"""Elements of the largest tensor accepted; larger counts are not exact as floats."""

KEPT_VALUES = 1024
"""Constants of more elements are weights: their values play no part in shape inference."""


def sniff(data: bytes) -> bool:
    """Whether a file looks like an ONNX ModelProto: field 1 (IR version), a small number."""
    return len(data) > 8 and data[0] == 0x08 and 1 <= data[1] < 0x40 and data[2] & 7 in (0, 2)


def parse_problem(data: bytes, max_bytes: int = UPLOAD_LIMIT, **settings: Any) -> Problem:
    """Return the forward problem of a model; see :func:`parse_forward` for the settings."""
    return parse_forward(data, max_bytes, **settings).problem


def parse_forward(
    data: bytes,
    max_bytes: int = UPLOAD_LIMIT,
    *,
    batch: int = 1,
    dimensions: Mapping[str, int] | None = None,
    cluster: Cluster | None = None,
    cost: CostModel | None = None,
    micro_batches: int = 1,
    element_bytes: int = 2,
) -> Forward:
    """Return the forward graph of an ONNX model with FLOPs, sizes, weights and saved activations.

    Nodes that depend on constants only (weights made on the fly, shape arithmetic) are folded
    into what they produce; a computed constant that a node reads is one of its weights.

    Parameters
    ----------
    data : bytes
    max_bytes : int
        Largest content accepted.
    batch : int
        Size of a micro-batch. The first dimension of the model's first input is taken to be
        the batch, and work and activations to be proportional to it.
    dimensions : mapping of str to int, optional
        Values of other dimensions that the model leaves open, by name.
    cluster : Cluster, optional
        Device types with presets; default four H100 on NVLink.
    cost : CostModel, optional
    micro_batches : int
    element_bytes : int
        Bytes of a floating-point activation, whatever the file says (2 = BF16).

    Returns
    -------
    Forward
        Give it to ``planner_core.workloads.training`` for the training graph.

    Raises
    ------
    InputError
        If the content is no ONNX model, has a cycle, or a shape cannot be inferred.
    NotApplicable
        If the package ``onnx`` is not installed.
    """
    if batch < 1 or element_bytes < 1:
        raise InputError("batch and element_bytes must be 1 or more")
    check_size(len(data), max_bytes)
    model = _load(data)
    own_batch = _fix_dimensions(model, dimensions or {})
    reader = _Reader(
        model,
        ForwardBuilder(homogeneous(4) if cluster is None else cluster, cost),
        element_bytes,
        batch / own_batch,
    )
    reader.read()
    return reader.builder.build(
        f"{model.graph.name[:200] or 'ONNX model'}, batch {batch}", micro_batches=micro_batches
    )


def _load(data: bytes) -> onnx.ModelProto:
    try:
        import onnx
    except ImportError:
        raise NotApplicable(
            "reading ONNX files needs the package 'onnx'; install parallelism-planner[onnx]"
        ) from None
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError, ValueError) as error:
        raise InputError(f"the file is not an ONNX model: {str(error)[:200]}") from None
    if not model.graph.node:
        raise InputError("the ONNX model has no nodes; export a model with a graph")
    if len(model.graph.node) > MAX_NODES:
        raise InputError(
            f"the ONNX model has {len(model.graph.node)} nodes; at most {MAX_NODES} are read"
        )
    if not all(isinstance(text, str) for text in _texts(model.graph)):
        raise InputError("the ONNX model has names that are not UTF-8; export it again")
    return model


def _texts(graph: onnx.GraphProto) -> Iterator[str | bytes]:
    """Yield every name that is read: protobuf hands over bytes where one is not UTF-8."""
    yield graph.name
    for node in graph.node:
        yield from (node.name, node.op_type, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for value in (*graph.input, *graph.value_info, *graph.output):
        yield value.name
        yield from (d.dim_param for d in value.type.tensor_type.shape.dim)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (tensor.values.name for tensor in graph.sparse_initializer)


def _fix_dimensions(model: onnx.ModelProto, dimensions: Mapping[str, int]) -> int:
    """Give dimensions that are open a value, drop the values of weights; return the batch."""
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    known = dict(dimensions)
    batch = 0
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name in weights or not dims:
            continue
        if batch == 0:
            batch = dims[0].dim_value
            if batch < 1:
                batch = known.setdefault(dims[0].dim_param, 1)
                dims[0].dim_value = batch
        for d in dims:
            if d.dim_value < 1 and d.dim_param not in known:
                name = d.dim_param or "unnamed"
                raise InputError(
                    f"input '{value.name}' of the ONNX model leaves dimension '{name}' open; "
                    "give it a value in dimensions, or export the model with a fixed shape"
                )
    for value in (*graph.input, *graph.value_info, *graph.output):
        for d in value.type.tensor_type.shape.dim:
            if d.dim_param in known:
                d.dim_value = known[d.dim_param]
    for tensor in graph.initializer:
        if elements(tensor.dims) > KEPT_VALUES:
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"):
                tensor.ClearField(field)
    if batch < 1 or any(value < 1 for value in known.values()):
        raise InputError("dimensions of the ONNX model must be 1 or more, the batch's included")
    return batch


def _shapes(model: onnx.ModelProto) -> tuple[dict[str, Shape], set[str]]:
    """Return the shape of every tensor that has one, and the tensors of floating-point type."""
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:  # the C++ library raises several types, none of them ours
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"shapes of the ONNX model cannot be inferred: {reason}") from None
    real = {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.BFLOAT16,
    }
    shapes: dict[str, Shape] = {}
    floating: set[str] = set()
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        tensor = value.type.tensor_type
        if tensor.elem_type in real:
            floating.add(value.name)
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            shapes[value.name] = tuple(d.dim_value for d in tensor.shape.dim)
    for constant in model.graph.initializer:
        shapes[constant.name] = tuple(constant.dims)
        if constant.data_type in real:
            floating.add(constant.name)
    for name, shape in shapes.items():
        if min(shape, default=0) < 0 or elements(shape) > MAX_ELEMENTS:
            raise InputError(f"tensor '{name[:100]}' has the impossible shape {shape}"[:300])
    return shapes, floating


class _Reader:
    """Turns the nodes of a model into operators."""

    def __init__(
        self, model: onnx.ModelProto, builder: ForwardBuilder, element_bytes: int, scale: float
    ) -> None:
        self.graph, self.builder = model.graph, builder
        self.element_bytes, self.scale = element_bytes, scale
        self.shapes, self.floating = _shapes(model)
        self.constants = {tensor.name for tensor in self.graph.initializer}
        self.constants.update(t.values.name for t in self.graph.sparse_initializer)
        self.made = {value.name for value in self.graph.input} - self.constants
        self.operators: set[str] = set()
        self.saved: set[str] = set()
        self.readers = Counter(
            name for node in self.graph.node for name in dict.fromkeys(node.input)
        )

    def read(self) -> None:
        """Add every node that depends on an input of the model."""
        for node in self.graph.node:
            outputs = [name for name in node.output if name]
            inputs = [name for name in dict.fromkeys(node.input) if name]
            for name in outputs:
                if name in self.made or name in self.constants:
                    raise InputError(
                        f"tensor '{name[:100]}' of the ONNX model is made twice; export it again"
                    )
            for name in inputs:
                if name not in self.made and name not in self.constants:
                    raise InputError(
                        f"node '{_label(node)}' of the ONNX model reads '{name[:100]}', which "
                        "nothing before it makes; nodes must be in order and free of cycles"
                    )
            if all(name in self.constants for name in inputs) and not _is_random(node):
                self.constants.update(outputs)
            elif outputs:
                self._add(node, inputs, outputs)
                self.made.update(outputs)
        if not self.operators:
            raise InputError("no node of the ONNX model depends on its inputs; nothing to plan")

    def _add(self, node: onnx.NodeProto, inputs: list[str], outputs: list[str]) -> None:
        activations = [name for name in inputs if name in self.made]
        weights = {name: self._count(name) for name in inputs if self._is_weight(name)}
        attributes = dict(_attributes(node))
        work = work_of(
            node.op_type,
            attributes,
            [self.shapes.get(name) for name in node.input],
            [self.shapes.get(name) for name in node.output],
            bool(weights),
        )
        for_input, for_weight = saved_tensors(node.op_type, activations, outputs, bool(weights))
        name = self._operator_name(node)
        # Inputs of the model are no tensors: nobody produces them.
        sources = [t for t in activations if t in self.builder]
        read = sum(map(self._bytes, activations))
        written = {t: self._bytes(t, node) for t in outputs}
        held = sum(weights.values()) * self.element_bytes
        view = node.op_type in VIEWS
        self.builder.add(
            name,
            sources,
            written,
            flops=work.flops * self.scale,
            moved=read + sum(written.values()) + held,
            duration=0.0 if view else None,
            parameters=self._groups(name, weights),
            backward_input=work.backward_input,
            backward_weight=work.backward_weight,
            saved_input=sum(map(self._save, for_input)),
            saved_weight=sum(map(self._save, for_weight)),
        )

    def _operator_name(self, node: onnx.NodeProto) -> str:
        base = name = _label(node)
        number = 1
        while name in self.operators:
            number += 1
            name = f"{base}#{number}"
        self.operators.add(name)
        return name

    def _groups(self, name: str, weights: Mapping[str, float]) -> dict[str, float]:
        """Return one group for the weights only this node reads, one for each other."""
        groups = {w: count for w, count in weights.items() if self.readers[w] > 1}
        own = sum(count for w, count in weights.items() if self.readers[w] == 1)
        if own:
            groups[f"weights of {name}"] = own
        return groups

    def _is_weight(self, name: str) -> bool:
        return name in self.constants and name in self.floating and self._count(name) > 1

    def _count(self, name: str) -> float:
        return elements(self.shapes.get(name, (0,)))

    def _bytes(self, name: str, node: onnx.NodeProto | None = None) -> float:
        """Bytes of an activation at the chosen batch."""
        if name not in self.shapes:
            if node is not None and self.readers[name]:
                raise InputError(
                    f"the shape of '{name[:100]}', made by node '{_label(node)}' "
                    f"({node.op_type[:40]}), cannot be inferred; export the model with fixed shapes"
                )
            return 0.0
        return self._count(name) * self.element_bytes * self.scale

    def _save(self, name: str) -> float:
        """Bytes of an activation to save: 0 if an earlier node saves it already."""
        if name in self.saved:
            return 0.0
        self.saved.add(name)
        return self._bytes(name)


def _label(node: onnx.NodeProto) -> str:
    named = node.name or next((name for name in node.output if name), "") or node.op_type
    return named[:500] or "node"


def _is_random(node: onnx.NodeProto) -> bool:
    """Whether a node without inputs makes something new every time."""
    return node.op_type.startswith(("Random", "Multinomial", "Bernoulli"))


def _attributes(node: onnx.NodeProto) -> Iterator[tuple[str, object]]:
    """Yield the attributes that decide the work: integers, lists of them, short text."""
    import onnx

    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.INT:
            yield attribute.name, attribute.i
        elif attribute.type == onnx.AttributeProto.INTS:
            yield attribute.name, list(attribute.ints)
        elif attribute.type == onnx.AttributeProto.STRING:
            yield attribute.name, attribute.s[:40].decode("utf-8", "replace")
