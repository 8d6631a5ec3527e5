"""Two encoders, of text and of images, joined by a decoder with cross-attention."""

from __future__ import annotations

from planner_core.problem import Cluster, InputError
from planner_core.problem.clusters import homogeneous
from planner_core.problem.forward import Forward, ForwardBuilder
from planner_core.problem.hardware import CostModel
from planner_core.workloads.transformer import ELEMENT, Blocks, Layer


def multimodal(
    text_layers: int = 4,
    image_layers: int = 4,
    joint_layers: int = 2,
    *,
    hidden: int = 1024,
    heads: int = 16,
    text_sequence: int = 512,
    image_sequence: int = 1024,
    vocabulary: int = 32000,
    patch: int = 16,
    batch: int = 1,
    classes: int = 1000,
    micro_batches: int = 1,
    cluster: Cluster | None = None,
    cost: CostModel | None = None,
) -> Forward:
    """Return a model of two independent encoders and joint layers over both.

    The encoders can run side by side; the joint layers' text attends to the images
    (cross-attention after self-attention).

    Parameters
    ----------
    text_layers, image_layers, joint_layers : int
    hidden, heads : int
    text_sequence, image_sequence : int
        Tokens, and image patches.
    vocabulary, patch, classes : int
        Text vocabulary, side of a patch in pixels (three channels), classes of the head.
    batch, micro_batches : int
    cluster : Cluster, optional
        Default four H100 on NVLink.
    cost : CostModel, optional

    Raises
    ------
    InputError
        If a number is out of range.
    """
    counts = {
        "text_layers": text_layers,
        "image_layers": image_layers,
        "joint_layers": joint_layers,
        "vocabulary": vocabulary,
        "patch": patch,
        "classes": classes,
    }
    for label, count in counts.items():
        if count < 1:
            raise InputError(f"{label} is {count}; it must be 1 or more")
    builder = ForwardBuilder(homogeneous(4) if cluster is None else cluster, cost)
    shapes = {
        name: Layer(hidden=hidden, heads=heads, sequence=tokens, batch=batch, causal=False)
        for name, tokens in (("text", text_sequence), ("image", image_sequence))
    }
    text, image = (Blocks(builder, shapes[name]) for name in ("text", "image"))
    x, y = _inputs(text, image, vocabulary, 3 * patch * patch)
    for i in range(text_layers):
        x = _layer(text, f"text{i}", x)
    for i in range(image_layers):
        y = _layer(image, f"image{i}", y)
    for i in range(joint_layers):
        block = f"joint{i}"
        x = text.attention(f"{block}.self", x, stage=None, block=block)
        x = text.attention(
            f"{block}.cross", x, stage=None, block=block, memory=y, memory_tokens=image.layer.tokens
        )
        x = text.feed_forward(f"{block}.ffn", x, stage=None, block=block)
    x = text.linear("head", x, hidden, classes, block="head")
    logits = builder.size_of(x)
    builder.add("loss", [x], 0.0, flops=5 * logits / ELEMENT, saved_input=2 * logits)
    return builder.build(
        f"two encoders, {text_layers} + {image_layers} layers, {joint_layers} joint",
        micro_batches=micro_batches,
    )


def _layer(blocks: Blocks, name: str, source: str) -> str:
    x = blocks.attention(f"{name}.attention", source, stage=None, block=name)
    return blocks.feed_forward(f"{name}.ffn", x, stage=None, block=name)


def _inputs(text: Blocks, image: Blocks, vocabulary: int, pixels: int) -> tuple[str, str]:
    """Add the look-up of the text's tokens and the projection of the image's patches."""
    hidden, tokens = text.layer.hidden, image.layer.tokens
    x = text.builder.add(
        "text.embedding",
        (),
        float(text.layer.activation),
        moved=2.0 * text.layer.activation,
        parameters={"text.embedding": vocabulary * hidden},
        block="text.embedding",
    )
    y = image.builder.add(
        "image.patches",
        (),
        float(image.layer.activation),
        flops=2.0 * tokens * pixels * hidden,
        parameters={"image.patches": pixels * hidden},
        saved_weight=float(ELEMENT * tokens * pixels),
        block="image.patches",
    )
    return x, y
