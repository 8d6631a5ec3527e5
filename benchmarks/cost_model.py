"""The roofline cost model beside a real GPU: every operator, and a whole training step.

Run ``python -m benchmarks.cost_model [--write]`` on a machine with PyTorch and a CUDA device whose
type has a preset. Each operator of a training transformer is timed on its own in BF16 (median of
the runs; its buffers rotate, so that the cache does not help more than in training), and a model of
several layers runs forward and backward under autograd. Both stand beside what
``planner_core.workloads`` says with the default efficiencies. ``--write`` stores the table in
``benchmarks/results/cost_model.md``.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from planner_core.baselines import run_baseline
from planner_core.problem.clusters import homogeneous
from planner_core.problem.hardware import DEVICE_TYPES
from planner_core.schedule import peak_memory
from planner_core.workloads import training, transformer

RESULT = Path(__file__).parent / "results" / "cost_model.md"

SHAPES = ((2048, 16, 2048), (4096, 32, 4096), (8192, 64, 4096))
"""Hidden size, heads, tokens of a sequence."""

VOCABULARY = 32_000
LAYERS = 4
ROTATED = 4
"""Copies of an operator's buffers, which together are larger than the cache."""

Run = Callable[[int], Any]


def preset() -> str:
    """Name of the preset of the device at hand."""
    name = torch.cuda.get_device_name()
    found = [key for key in DEVICE_TYPES if key in name]
    if not found:
        raise SystemExit(f"no preset for '{name}'; there are {', '.join(DEVICE_TYPES)}")
    return found[0]


def milliseconds(run: Run, runs: int = 20, calls: int = 8) -> float:
    """Median time of one call on the device, without the gaps of the host."""
    for i in range(3 * ROTATED):
        run(i % ROTATED)
    times = []
    for _ in range(runs):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        for i in range(calls):
            run(i % ROTATED)
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / calls)
    return statistics.median(times)


def tensors(*shape: int, grad: bool = False) -> list[torch.Tensor]:
    """Rotated copies of a random BF16 tensor."""
    made = [torch.randn(*shape, device="cuda", dtype=torch.bfloat16) for _ in range(ROTATED)]
    return [one.requires_grad_(grad) for one in made]


def backward(forward: Callable[[torch.Tensor], torch.Tensor], inputs: list[torch.Tensor]) -> Run:
    """The gradient of an operator's input, as autograd computes it."""
    outputs = [forward(one) for one in inputs]
    grads = [torch.randn_like(one) for one in outputs]
    return lambda i: torch.autograd.grad(outputs[i], inputs[i], grads[i], retain_graph=True)


def operators(hidden: int, heads: int, sequence: int) -> dict[str, Run]:
    """What is timed, by the name the library gives it; made one by one, for they are large."""
    made: dict[str, Callable[[], Run]] = {}

    def linear(name: str, columns_in: int, columns_out: int) -> None:
        def product(left: tuple[int, int], right: tuple[int, int], way: str) -> Run:
            a, b = tensors(*left), tensors(*right)
            if way == "I":
                return lambda i: a[i] @ b[i].T
            return lambda i: a[i].T @ b[i] if way == "W" else a[i] @ b[i]

        x, w, y = (sequence, columns_in), (columns_in, columns_out), (sequence, columns_out)
        made[name] = lambda: product(x, w, "F")
        made[f"{name}:I"] = lambda: product(y, w, "I")
        made[f"{name}:W"] = lambda: product(x, y, "W")

    def pointwise(name: str, act: Callable[[torch.Tensor], torch.Tensor], columns: int) -> None:
        def forward() -> Run:
            x = tensors(sequence, columns)
            return lambda i: act(x[i])

        made[name] = forward
        made[f"{name}:I"] = lambda: backward(act, tensors(sequence, columns, grad=True))

    def attention() -> Run:
        q, k, v = (tensors(1, heads, sequence, hidden // heads) for _ in range(3))
        return lambda i: F.scaled_dot_product_attention(q[i], k[i], v[i], is_causal=True)

    def attention_backward() -> Run:
        return backward(
            lambda qkv: F.scaled_dot_product_attention(*qkv.unbind(), is_causal=True),
            tensors(3, 1, heads, sequence, hidden // heads, grad=True),
        )

    def addition() -> Run:
        x, y = tensors(sequence, hidden), tensors(sequence, hidden)
        return lambda i: x[i] + y[i]

    def loss(logits: torch.Tensor) -> torch.Tensor:
        target = torch.zeros(sequence, dtype=torch.long, device="cuda")
        return F.cross_entropy(logits.float(), target)

    linear("layer0.attention.qkv", hidden, 3 * hidden)
    linear("layer0.attention.projection", hidden, hidden)
    linear("layer0.ffn.up", hidden, 4 * hidden)
    linear("layer0.ffn.down", 4 * hidden, hidden)
    linear("output", hidden, VOCABULARY)
    pointwise("layer0.ffn.norm", lambda x: F.rms_norm(x, (hidden,)), hidden)
    pointwise("layer0.ffn.activation", F.gelu, 4 * hidden)
    pointwise("loss", loss, VOCABULARY)
    made["layer0.attention.attention"] = attention
    made["layer0.attention.attention:I"] = attention_backward
    made["layer0.ffn.add"] = addition
    return {name: _when_asked(make) for name, make in made.items()}


def _when_asked(make: Callable[[], Run]) -> Run:
    """A run whose buffers are made by its first call."""
    kept: list[Run] = []

    def run(i: int) -> Any:
        if not kept:
            kept.append(make())
        return kept[0](i)

    return run


class Block(nn.Module):
    """One layer as the library describes it: norms without weights, no bias, no dropout."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.hidden, self.heads = hidden, heads
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=False)
        self.projection = nn.Linear(hidden, hidden, bias=False)
        self.up = nn.Linear(hidden, 4 * hidden, bias=False)
        self.down = nn.Linear(4 * hidden, hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count = x.shape[0]
        qkv = self.qkv(F.rms_norm(x, (self.hidden,)))
        q, k, v = (part.view(1, count, self.heads, -1).transpose(1, 2) for part in qkv.chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.projection(y.transpose(1, 2).reshape(count, self.hidden))
        return x + self.down(F.gelu(self.up(F.rms_norm(x, (self.hidden,)))))


class Model(nn.Module):
    """Embedding, layers, norm and output layer."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.embedding = nn.Embedding(VOCABULARY, hidden)
        self.layers = nn.ModuleList(Block(hidden, heads) for _ in range(LAYERS))
        self.output = nn.Linear(hidden, VOCABULARY, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x)
        return F.cross_entropy(self.output(F.rms_norm(x, (self.hidden,))).float(), ids)


def step(hidden: int, heads: int, sequence: int) -> tuple[float, float]:
    """Milliseconds of a forward and backward pass, and MiB held between the two."""
    model = Model(hidden, heads).to("cuda", torch.bfloat16)
    ids = torch.randint(VOCABULARY, (sequence,), device="cuda")

    def both(_: int) -> None:
        model.zero_grad(set_to_none=True)
        model(ids).backward()

    took = milliseconds(both, calls=4)
    model.zero_grad(set_to_none=True)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    kept = model(ids)
    torch.cuda.synchronize()
    held = (torch.cuda.memory_allocated() - before) / 2**20
    del kept
    return took, held


def predicted(layers: int, hidden: int, heads: int, sequence: int, device: str) -> dict[str, Any]:
    """Durations by operator in ms, and MiB of activations that wait for the backward pass."""
    forward = transformer(
        layers, hidden, heads, sequence, VOCABULARY, cluster=homogeneous(1, device)
    )
    problem = training(forward)
    graph = problem.graph
    found = run_baseline("heft", problem)
    weights = float(graph.group_size.sum())
    return {
        "durations": dict(zip(graph.operator_ids, graph.duration.tolist(), strict=True)),
        "held": peak_memory(problem, found.schedule) - weights,
    }


def table(device: str) -> list[str]:
    """All shapes as Markdown."""
    lines = [
        f"Measured {datetime.date.today()} on {torch.cuda.get_device_name()}, PyTorch "
        f"{torch.__version__}, BF16; durations in ms, median of 20 runs; predicted with the "
        "default efficiencies.",
    ]
    for hidden, heads, sequence in SHAPES:
        said = predicted(1, hidden, heads, sequence, device)["durations"]
        lines += ["", f"## Hidden {hidden}, {heads} heads, {sequence} tokens", "",
                  "| operator | predicted | measured | predicted / measured |",
                  "|---|---|---|---|"]  # fmt: skip
        ratios = []
        for name, run in operators(hidden, heads, sequence).items():
            took = milliseconds(run)
            ratios.append(said[name] / took)
            lines.append(f"| {name} | {said[name]:.3f} | {took:.3f} | {ratios[-1]:.2f} |")
            torch.cuda.empty_cache()
        whole = predicted(LAYERS, hidden, heads, sequence, device)
        took, held = step(hidden, heads, sequence)
        total = sum(whole["durations"].values())
        lines += [
            f"| forward and backward, {LAYERS} layers | {total:.1f} | {took:.1f} | "
            f"{total / took:.2f} |",
            f"| activations held, {LAYERS} layers (MiB) | {whole['held']:.0f} | {held:.0f} | "
            f"{whole['held'] / held:.2f} |",
            "",
            f"Median ratio of the operators {statistics.median(ratios):.2f}, from "
            f"{min(ratios):.2f} to {max(ratios):.2f}.",
        ]
        torch.cuda.empty_cache()
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="store the table")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("this measures a CUDA device, and there is none")
    lines = table(preset())
    print("\n".join(lines))
    if options.write:
        RESULT.write_text("# The cost model beside a GPU\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
