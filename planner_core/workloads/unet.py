"""A U-Net: convolutions down and up with skip connections across."""

from __future__ import annotations

from planner_core.problem import Cluster, InputError
from planner_core.problem.clusters import homogeneous
from planner_core.problem.forward import Forward, ForwardBuilder
from planner_core.problem.hardware import CostModel

ELEMENT = 2
"""Bytes of an activation (BF16)."""


def unet(
    levels: int = 4,
    *,
    channels: int = 64,
    resolution: int = 512,
    in_channels: int = 3,
    classes: int = 2,
    batch: int = 1,
    micro_batches: int = 1,
    cluster: Cluster | None = None,
    cost: CostModel | None = None,
) -> Forward:
    """Return a U-Net (Ronneberger, Fischer, Brox 2015), padded so that sizes stay even.

    Each level has two 3×3 convolutions with activations; going down halves the resolution and
    doubles the channels; going up joins the level's own output by a skip connection, which
    keeps it in memory from the way down to the way up.

    Parameters
    ----------
    levels : int
        Halvings of the resolution.
    channels : int
        Of the first level.
    resolution : int
        Side of the square input; divisible by 2 ** levels.
    in_channels, classes, batch, micro_batches : int
    cluster : Cluster, optional
        Default four H100 on NVLink.
    cost : CostModel, optional

    Raises
    ------
    InputError
        If a number is out of range or the resolution cannot be halved that often.
    """
    counts = {
        "levels": levels,
        "channels": channels,
        "resolution": resolution,
        "in_channels": in_channels,
        "classes": classes,
        "batch": batch,
    }
    for label, count in counts.items():
        if count < 1:
            raise InputError(f"{label} is {count}; it must be 1 or more")
    if levels > 30 or resolution % 2**levels:
        raise InputError(
            f"resolution is {resolution}, which cannot be halved {levels} times; use a multiple "
            f"of 2 to the power of levels"
        )
    net = _Convolutions(ForwardBuilder(homogeneous(4) if cluster is None else cluster, cost), batch)
    x, width, side = "", in_channels, resolution
    skips: list[str] = []
    for level in range(levels + 1):
        out = channels * 2**level
        name = f"down{level}" if level < levels else "bottom"
        x = net.double(name, [x] if x else [], width, out, side)
        width = out
        if level < levels:
            skips.append(x)
            x = net.plain(f"{name}.pool", [x], width, side // 2)
            side //= 2
    for level in reversed(range(levels)):
        out = channels * 2**level
        side *= 2
        x = net.convolution(f"up{level}.transpose", [x], width, out, side, kernel=2, stride=2)
        x = net.plain(f"up{level}.concat", [x, skips[level]], 2 * out, side, saves=False)
        x = net.double(f"up{level}", [x], 2 * out, out, side)
        width = out
    x = net.convolution("head", [x], width, classes, side, kernel=1)
    net.plain("loss", [x], 0, side)
    return net.builder.build(
        f"U-Net, {levels} levels of {channels} channels, {resolution}×{resolution}",
        micro_batches=micro_batches,
    )


class _Convolutions:
    """Writes convolutions of square images into a builder."""

    def __init__(self, builder: ForwardBuilder, batch: int) -> None:
        self.builder, self.batch = builder, batch

    def double(self, name: str, sources: list[str], width: int, out: int, side: int) -> str:
        """Add two convolutions, each with its activation."""
        x = self.convolution(f"{name}.conv1", sources, width, out, side)
        x = self.plain(f"{name}.relu1", [x], out, side)
        x = self.convolution(f"{name}.conv2", [x], out, out, side)
        return self.plain(f"{name}.relu2", [x], out, side)

    def convolution(
        self,
        name: str,
        sources: list[str],
        width: int,
        out: int,
        side: int,
        *,
        kernel: int = 3,
        stride: int = 1,
    ) -> str:
        """Add a convolution; with a stride, a transposed one to ``side`` outputs a side."""
        weights = float(kernel * kernel * width * out)
        pixels = self.batch * side * side
        # A transposed convolution applies every weight once per input pixel.
        return self.builder.add(
            name,
            sources,
            float(ELEMENT * pixels * out),
            flops=2.0 * weights * pixels / stride**2,
            parameters={name: weights},
            saved_weight=ELEMENT * pixels / stride**2 * width,
            stage=None,
            block=name.split(".")[0],
        )

    def plain(
        self, name: str, sources: list[str], out: int, side: int, *, saves: bool = True
    ) -> str:
        """Add an operator without weights that streams its inputs once."""
        size = float(sum(self.builder.size_of(source) for source in sources))
        return self.builder.add(
            name,
            sources,
            float(ELEMENT * self.batch * side * side * out),
            flops=size / ELEMENT,
            saved_input=size if saves else 0.0,
            block=name.split(".")[0],
        )
