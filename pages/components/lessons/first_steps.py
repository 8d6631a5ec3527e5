"""From one device to micro-batches: why pipelines have bubbles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pages.components.lessons.examples import Example, example, lesson_pipeline
from pages.components.lessons.model import (
    FUSED_COSTS,
    Check,
    Lesson,
    Numbers,
    Question,
    batches_knob,
    devices_knob,
)
from planner_core.charts.numbers import number

GOAL = 0.2
"""Idle share that the question of the GPipe lesson asks for."""


def _fused(v: Numbers, *, p: int | None = None, m: int | None = None) -> dict:
    return {
        "p": int(v["p"]) if p is None else p,
        "m": int(v["m"]) if m is None else m,
        "F": v["F"],
        "B": v["B"],
    }


def _titled(title: str, result: Example) -> Example:
    return replace(result, title=title)


def _one_device(v: Numbers) -> list[Example]:
    return [_titled("One device", example("1f1b", lesson_pipeline(**_fused(v, p=1))))]


def _one_device_checks(v: Numbers, shown: Sequence[Example]) -> list[Check]:
    first = shown[0]
    return [
        Check("Makespan", "m\\,(F+B)", v["m"] * (v["F"] + v["B"]), first.metrics.makespan, "ms"),
        Check("Idle share", "0", 0.0, first.metrics.idle_share, "%"),
        Check("Peak memory", "1", 1.0, max(first.peaks), "activations"),
    ]


def _one_device_question(v: Numbers, shown: Sequence[Example]) -> Question:
    more = v["m"] + 2
    total = more * (v["F"] + v["B"])
    return Question(
        f"The batch grows to {more:g} micro-batches of the same size. What is the makespan then?",
        total,
        f"One device is never idle here, so the times add up: {more:g} × "
        f"({number(v['F'])} + {number(v['B'])}) = {number(total)} ms.",
        "ms",
    )


ONE_DEVICE = Lesson(
    key="one-device",
    title="One device",
    text="""
Training one step takes a **forward** pass F and a **backward** pass B. The forward leaves
*activations* behind that the backward needs, so they stay in memory from F until B has finished.

We cut the batch into **micro-batches** and add up their gradients: the result is the same, and
the device holds the activations of only one micro-batch at a time. Each cell below is one
operator, the number in it is its micro-batch. A single device is never idle. But what if the
model does not fit on it?
""",
    knobs=(batches_knob(default=4), *FUSED_COSTS),
    examples=_one_device,
    checks=_one_device_checks,
    question=_one_device_question,
)


def _split(v: Numbers) -> list[Example]:
    return [_titled("The batch in one piece", example("gpipe", lesson_pipeline(**_fused(v, m=1))))]


def _split_checks(v: Numbers, shown: Sequence[Example]) -> list[Check]:
    first, p = shown[0], v["p"]
    return [
        Check("Makespan", "p\\,(F+B)", p * (v["F"] + v["B"]), first.metrics.makespan, "ms"),
        Check("Idle share", "1-\\frac{1}{p}", 1 - 1 / p, first.metrics.idle_share, "%"),
    ]


def _split_question(v: Numbers, shown: Sequence[Example]) -> Question:
    p = int(v["p"])
    share = 100 / (2 * p)
    return Question(
        f"With twice as many devices ({2 * p}), what share of the time is each device busy, in %?",
        share,
        f"One device works at a time, so each is busy 1/{2 * p} of the time: {number(share)} %. "
        "The devices add memory, but no speed.",
        "%",
    )


SPLIT = Lesson(
    key="split",
    title="Cut the model",
    text="""
Cut the model into p **stages** of equal work and put one on each device. Now the model fits: each
device holds 1/p of the weights. The forward runs down the devices, the backward comes back up.

Sent through as one piece, though, the batch is on one device at a time. All others wait. The time
a device waits is called a **bubble**; the *idle share* is the waiting time of all devices over
the total. Step through the time below and count who works.
""",
    knobs=(devices_knob(), *FUSED_COSTS),
    examples=_split,
    checks=_split_checks,
    question=_split_question,
)


def _gpipe(v: Numbers) -> list[Example]:
    return [example("gpipe", lesson_pipeline(**_fused(v)))]


def _gpipe_checks(v: Numbers, shown: Sequence[Example]) -> list[Check]:
    first, p, m, both = shown[0], v["p"], v["m"], v["F"] + v["B"]
    figures = first.metrics
    return [
        Check("Makespan", "(m+p-1)(F+B)", (m + p - 1) * both, figures.makespan, "ms"),
        Check("Bubble", "(p-1)(F+B)", (p - 1) * both, first.bubble, "ms"),
        Check(
            "Bubble over work (textbook rate)",
            "\\frac{p-1}{m}",
            (p - 1) / m,
            figures.textbook_rate,
            "%",
        ),
        Check("Idle share", "\\frac{p-1}{m+p-1}", (p - 1) / (m + p - 1), figures.idle_share, "%"),
        Check("Peak memory", "m", m, max(first.peaks), "activations"),
    ]


def _gpipe_question(v: Numbers, shown: Sequence[Example]) -> Question:
    p = int(v["p"])
    least = math.ceil((p - 1) * (1 - GOAL) / GOAL - 1e-9)
    return Question(
        f"How many micro-batches do {p} devices need at least for an idle share of "
        f"{100 * GOAL:g} % or less?",
        least,
        f"(p−1)/(m+p−1) ≤ {GOAL:g} means m ≥ {(1 - GOAL) / GOAL:g} (p−1) = {least}. The price: "
        "GPipe holds the activations of all of them.",
        "micro-batches",
    )


GPIPE = Lesson(
    key="gpipe",
    title="GPipe: micro-batches",
    text="""
**GPipe** sends the batch through in m micro-batches. While gpu1 works on micro-batch 0, gpu0
already runs micro-batch 1. The bubble does not depend on m: it is the time to fill the pipeline
and to drain it, (p−1)(F+B). More micro-batches make it a smaller *share*.

Papers use two rates, and they differ: bubble over **work**, (p−1)/m, and bubble over **makespan**,
(p−1)/(m+p−1), the idle share. And look at the memory: all forwards run before the first backward,
so every device holds the activations of all m micro-batches.
""",
    knobs=(devices_knob(), batches_knob(), *FUSED_COSTS),
    examples=_gpipe,
    checks=_gpipe_checks,
    question=_gpipe_question,
)
