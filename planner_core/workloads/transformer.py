"""Transformers down to operators: dense, mixture of experts, tensor parallel."""

from __future__ import annotations

from dataclasses import dataclass

from planner_core.problem import Cluster, InputError
from planner_core.problem.clusters import homogeneous
from planner_core.problem.forward import Forward, ForwardBuilder
from planner_core.problem.hardware import CostModel, LinkType, link_type

ELEMENT = 2
"""Bytes of an activation (BF16)."""

ATTENTION_BACKWARD = 2.5
"""Backward over forward FLOPs of fused attention: five matrix products against two, because the
scores are computed again (Dao 2023, "FlashAttention-2", section 3.1)."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Shape of one transformer layer.

    Parameters
    ----------
    hidden, heads : int
    sequence : int
        Tokens of a sequence.
    batch : int
        Sequences of a micro-batch.
    ffn : int, optional
        Width inside the feed-forward part; default 4 × hidden.
    experts : int
        0 for a dense layer; else the experts of every layer, each a feed-forward part.
    top_k : int
        Experts a token visits.
    tensor_parallel, expert_parallel : int
        Accelerators that share each operator, or each layer's experts. A device of the cluster
        then stands for one accelerator of such a group: it does 1/k of the work, holds 1/k of
        the weights and takes part in the group's collectives on its network stream.
    link : str or LinkType
        What the collectives of the group run over.
    causal : bool
        Whether a token attends to earlier ones only, which halves the attention's FLOPs.
    """

    hidden: int
    heads: int
    sequence: int
    batch: int = 1
    ffn: int | None = None
    experts: int = 0
    top_k: int = 2
    tensor_parallel: int = 1
    expert_parallel: int = 1
    link: str | LinkType = "NVLink 4"
    causal: bool = True

    def __post_init__(self) -> None:
        for label in ("hidden", "heads", "sequence", "batch", "tensor_parallel", "expert_parallel"):
            if getattr(self, label) < 1:
                raise InputError(f"{label} is {getattr(self, label)}; it must be 1 or more")
        if self.ffn is not None and self.ffn < 1:
            raise InputError(f"ffn is {self.ffn}; it must be 1 or more")
        if self.hidden % self.heads:
            raise InputError(
                f"hidden is {self.hidden}, which {self.heads} heads do not divide; change one"
            )
        if self.heads % self.tensor_parallel:
            raise InputError(
                f"tensor_parallel is {self.tensor_parallel}, which does not divide "
                f"{self.heads} heads; change one"
            )
        if self.experts < 0 or (self.experts and not 1 <= self.top_k <= self.experts):
            raise InputError(
                f"a token visits {self.top_k} of {self.experts} experts; top_k must lie between 1 "
                "and experts"
            )
        if self.experts % self.expert_parallel:
            raise InputError(
                f"expert_parallel is {self.expert_parallel}, which does not divide "
                f"{self.experts} experts; change one"
            )
        link_type(self.link)

    @property
    def tokens(self) -> int:
        """Tokens of a micro-batch."""
        return self.batch * self.sequence

    @property
    def width(self) -> int:
        """Width inside the feed-forward part."""
        return self.ffn or 4 * self.hidden

    @property
    def activation(self) -> int:
        """Bytes of the residual stream of a micro-batch."""
        return ELEMENT * self.tokens * self.hidden


class Blocks:
    """Writes transformer blocks into a :class:`ForwardBuilder`."""

    def __init__(self, builder: ForwardBuilder, layer: Layer) -> None:
        self.builder, self.layer = builder, layer

    def linear(
        self,
        name: str,
        source: str,
        columns_in: float,
        columns_out: float,
        *,
        tokens: float | None = None,
        stage: int | None = None,
        block: str = "",
    ) -> str:
        """Add y = x W: 2 × tokens × in × out FLOPs; W's gradient needs x."""
        tokens = self.layer.tokens if tokens is None else tokens
        return self.builder.add(
            name,
            [source],
            ELEMENT * tokens * columns_out,
            flops=2.0 * tokens * columns_in * columns_out,
            parameters={name: columns_in * columns_out},
            saved_weight=ELEMENT * tokens * columns_in,
            stage=stage,
            block=block,
        )

    def pointwise(
        self, name: str, sources: list[str], *, save: bool, stage: int | None, block: str
    ) -> str:
        """Add an operator that streams its inputs once; ``save``: its gradient needs them."""
        size = self.builder.size_of(sources[0])
        return self.builder.add(
            name,
            sources,
            size,
            flops=float(len(sources) * size / ELEMENT),
            saved_input=size if save else 0.0,
            stage=stage,
            block=block,
        )

    def attention(
        self,
        name: str,
        source: str,
        *,
        stage: int | None,
        block: str,
        memory: str | None = None,
        memory_tokens: int = 0,
    ) -> str:
        """Add norm, QKV, fused attention, projection (and all-reduce), residual sum.

        With ``memory`` (another tensor, of ``memory_tokens`` tokens per micro-batch) keys and
        values come from it: cross-attention.
        """
        layer, add = self.layer, self.builder.add
        h, t = layer.hidden, layer.tensor_parallel
        x = self.pointwise(f"{name}.norm", [source], save=True, stage=stage, block=block)
        if memory is None:
            inner = [self.linear(f"{name}.qkv", x, h, 3 * h / t, stage=stage, block=block)]
            seen: float = layer.sequence / 2 if layer.causal else layer.sequence
        else:
            q = self.linear(f"{name}.q", x, h, h / t, stage=stage, block=block)
            kv = self.linear(
                f"{name}.kv", memory, h, 2 * h / t, tokens=memory_tokens, stage=stage, block=block
            )
            inner, seen = [q, kv], memory_tokens / layer.batch
        attended = add(
            f"{name}.attention",
            inner,
            layer.activation / t,
            # Scores and weighted sum: 2 × tokens × tokens seen × hidden each.
            flops=4.0 * layer.tokens * seen * h / t,
            backward_input=ATTENTION_BACKWARD,
            saved_input=float(sum(self.builder.size_of(name) for name in inner)),
            stage=stage,
            block=block,
        )
        y = self.linear(f"{name}.projection", attended, h / t, h, stage=stage, block=block)
        y = self.all_reduce(y, stage, block)
        return self.pointwise(f"{name}.add", [source, y], save=False, stage=stage, block=block)

    def feed_forward(self, name: str, source: str, *, stage: int | None, block: str) -> str:
        """Add norm, up, activation, down (and all-reduce), residual sum; or the experts."""
        layer = self.layer
        x = self.pointwise(f"{name}.norm", [source], save=True, stage=stage, block=block)
        if layer.experts:
            y = self._experts(name, x, stage, block)
        else:
            width = layer.width / layer.tensor_parallel
            up = self.linear(f"{name}.up", x, layer.hidden, width, stage=stage, block=block)
            up = self.pointwise(f"{name}.activation", [up], save=True, stage=stage, block=block)
            y = self.linear(f"{name}.down", up, width, layer.hidden, stage=stage, block=block)
            y = self.all_reduce(y, stage, block)
        return self.pointwise(f"{name}.add", [source, y], save=False, stage=stage, block=block)

    def _experts(self, name: str, x: str, stage: int | None, block: str) -> str:
        """Add router, dispatch, experts, combine; the exchanges run on the network stream."""
        layer, add = self.layer, self.builder.add
        cost = self.builder.cost
        router = self.linear(
            f"{name}.router", x, layer.hidden, layer.experts, stage=stage, block=block
        )
        sent = float(layer.activation * layer.top_k)
        exchange = cost.all_to_all_milliseconds(sent, layer.expert_parallel, layer.link)

        def network(part: str, sources: list[str], size: float) -> str:
            return add(
                f"{name}.{part}",
                sources,
                size,
                duration=exchange,
                kind="all_to_all",
                stream="network",
                stage=stage,
                block=block,
            )

        dispatched = network("dispatch", [x, router], sent)
        visits = layer.tokens * layer.top_k
        per_expert = 2.0 * layer.hidden * layer.width
        held = layer.experts // layer.expert_parallel
        hidden_bytes = float(ELEMENT * visits * layer.width)
        inside = add(
            f"{name}.experts",
            [dispatched],
            sent,
            flops=2.0 * visits * per_expert,
            parameters={f"{name}.experts": held * per_expert},
            # W needs the input of both products; I that of the activation, and the router's
            # gradient the experts' outputs.
            saved_weight=sent + hidden_bytes,
            saved_input=sent + hidden_bytes,
            stage=stage,
            block=block,
        )
        return network("combine", [inside], float(layer.activation))

    def all_reduce(self, source: str, stage: int | None, block: str) -> str:
        """Add the all-reduce of the tensor-parallel group, if there is one.

        Its backward part stands for the all-reduce that Megatron-LM has at the other end of the
        block, where the gradient leaves it: as many of the same size.
        """
        layer = self.layer
        if layer.tensor_parallel == 1:
            return source
        duration = self.builder.cost.all_reduce_milliseconds(
            float(layer.activation), layer.tensor_parallel, layer.link
        )
        return self.builder.add(
            f"{source}.all_reduce",
            [source],
            float(layer.activation),
            duration=duration,
            kind="all_reduce",
            stream="network",
            stage=stage,
            block=block,
        )


def transformer(
    layers: int,
    hidden: int,
    heads: int,
    sequence: int,
    vocabulary: int,
    *,
    batch: int = 1,
    ffn: int | None = None,
    experts: int = 0,
    top_k: int = 2,
    tensor_parallel: int = 1,
    expert_parallel: int = 1,
    link: str | LinkType = "NVLink 4",
    tied: bool = False,
    stages: int | None = None,
    micro_batches: int = 1,
    cluster: Cluster | None = None,
    cost: CostModel | None = None,
) -> Forward:
    """Return a decoder-only transformer's forward pass, operator by operator.

    The embedding (vocabulary × hidden weights, a look-up) and the output layer (a product of
    tokens × hidden × vocabulary) weigh what they weigh. Weights of norms and biases, below a
    thousandth of the rest, and of positions (they are rotary) are left out. Saved activations
    follow Korthikanti et al. 2022, "Reducing Activation Recomputation", without dropout and with
    fused attention: 32 bytes per token and hidden unit of a dense layer.

    Parameters
    ----------
    layers : int
    hidden, heads, sequence, batch, ffn, experts, top_k, tensor_parallel, expert_parallel, link
        See :class:`Layer`.
    vocabulary : int
    tied : bool
        The output layer shares the embedding's weights.
    stages : int, optional
        Give operators stage numbers: layers in contiguous, equal runs, the embedding in the
        first and the output layer in the last.
    micro_batches : int
    cluster : Cluster, optional
        Default four H100 on NVLink.
    cost : CostModel, optional

    Returns
    -------
    Forward
        Give it to :func:`planner_core.workloads.training`, or plan its ``problem``.

    Raises
    ------
    InputError
        If a number is out of range or one does not divide the other where it must.
    """
    shape = Layer(
        hidden=hidden,
        heads=heads,
        sequence=sequence,
        batch=batch,
        ffn=ffn,
        experts=experts,
        top_k=top_k,
        tensor_parallel=tensor_parallel,
        expert_parallel=expert_parallel,
        link=link,
    )
    for label, count in (("layers", layers), ("vocabulary", vocabulary)):
        if count < 1:
            raise InputError(f"{label} is {count}; it must be 1 or more")
    if stages is not None and not 1 <= stages <= layers:
        raise InputError(f"stages is {stages}; it must lie between 1 and the {layers} layers")
    builder = ForwardBuilder(homogeneous(4) if cluster is None else cluster, cost)
    blocks = Blocks(builder, shape)
    share = vocabulary / tensor_parallel
    last = None if stages is None else stages - 1
    x = builder.add(
        "embedding",
        (),
        float(shape.activation),
        moved=2.0 * shape.activation,
        parameters={"embedding": share * hidden},
        stage=None if stages is None else 0,
    )
    x = blocks.all_reduce(x, None if stages is None else 0, "")  # each holds a part of the words
    for i in range(layers):
        stage = None if stages is None else i * stages // layers
        block = f"layer{i}"
        x = blocks.attention(f"{block}.attention", x, stage=stage, block=block)
        x = blocks.feed_forward(f"{block}.ffn", x, stage=stage, block=block)
    _output(blocks, x, share, "embedding" if tied else "output", last)
    kind = f"{experts} experts" if experts else "dense"
    return builder.build(
        f"transformer, {layers} layers of {hidden}, {kind}", micro_batches=micro_batches
    )


def _output(blocks: Blocks, source: str, vocabulary: float, group: str, stage: int | None) -> None:
    """Add the last norm, the output layer over ``vocabulary`` columns, and the loss."""
    builder, shape = blocks.builder, blocks.layer
    x = blocks.pointwise("norm", [source], save=True, stage=stage, block="")
    logits = ELEMENT * shape.tokens * vocabulary
    x = builder.add(
        "output",
        [x],
        logits,
        flops=2.0 * shape.tokens * shape.hidden * vocabulary,
        parameters={group: vocabulary * shape.hidden},
        saved_weight=float(shape.activation),
        stage=stage,
    )
    # Softmax and cross-entropy keep the logits in FP32 (Korthikanti et al., section 4.3).
    builder.add("loss", [x], 0.0, flops=5 * logits / ELEMENT, saved_input=2 * logits, stage=stage)
