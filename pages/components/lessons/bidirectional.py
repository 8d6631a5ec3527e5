"""DualPipe: two flows through every device, and what its blocks cost and buy."""

from __future__ import annotations

from collections.abc import Sequence

from pages.components.lessons.examples import (
    Example,
    example,
    lesson_pipeline,
    working_time,
)
from pages.components.lessons.model import (
    SPLIT_COSTS,
    Check,
    Knob,
    Lesson,
    Numbers,
    Question,
    Scale,
    batches_knob,
    devices_knob,
    same,
)
from planner_core.charts.numbers import number

OTHER_PAIR = 70.0
"""F&B in percent of F + B that the question asks about; with a slider at it, the full sum."""


def _pair(v: Numbers, percent: float) -> float:
    return percent / 100 * (v["F"] + v["I"] + v["W"])


def _blocks(v: Numbers, percent: float) -> Example:
    problem = lesson_pipeline(
        int(v["p"]), int(v["m"]), "bidirectional", F=v["F"], I=v["I"], W=v["W"]
    )
    return example("dualpipe", problem, overlapped_pair=_pair(v, percent))


def _examples(v: Numbers) -> list[Example]:
    numbers = {"p": int(v["p"]), "m": int(v["m"]), "F": v["F"], "I": v["I"], "W": v["W"]}
    return [
        _blocks(v, v["pair"]),
        example("dualpipe-sequential", lesson_pipeline(**numbers, placement="bidirectional")),
        example("zb-v", lesson_pipeline(**numbers, placement="v", chunks=2)),
        example("1f1b", lesson_pipeline(**numbers)),
    ]


def _checks(v: Numbers, shown: Sequence[Example]) -> list[Check]:
    blocks, sequential = shown[:2]
    p, both, weight = int(v["p"]), v["I"] + v["W"], v["W"]
    predicted = (p / 2 - 1) * (_pair(v, v["pair"]) + both - 3 * weight)
    middle = blocks.schedule.makespan - working_time(blocks.schedule, p // 2)
    equal = same(v["F"], v["I"]) and same(v["I"], weight)
    beyond = "" if equal else "derived for F = I = W; with other costs it is a guide"
    if not beyond and _pair(v, v["pair"]) < max(v["F"], both) - 1e-9:
        beyond = "an overlapped pair is shorter than its own backward here"
    return [
        Check(
            f"Bubble of gpu{p // 2}, blocks",
            "\\left(\\tfrac{p}{2}-1\\right)(F\\&B+B-3W)",
            predicted,
            middle,
            "ms",
            beyond,
        ),
        Check("Peak memory, blocks", "p+1", p + 1, max(blocks.peaks), "activations"),
        Check("Peak memory, sequential", "p+1", p + 1, max(sequential.peaks), "activations"),
    ]


def _question(v: Numbers, shown: Sequence[Example]) -> Question:
    sequential = shown[1]
    percent = 100.0 if same(v["pair"], OTHER_PAIR) else OTHER_PAIR
    blocks = _blocks(v, percent)
    choices = ("DualPipe (blocks)", "DualPipe (sequential)", "both at the same time")
    first, second = blocks.metrics.makespan, sequential.metrics.makespan
    answer = choices[2 if same(first, second) else 0 if first < second else 1]
    return Question(
        f"Leave the slider. If F&B were {percent:g} % of F + B, which would finish first?",
        answer,
        f"Simulated: blocks {number(first)} ms, sequential {number(second)} ms. Blocks pay off "
        "only where the overlap saves more than the wait for the end of the block costs.",
        choices=choices,
    )


DUALPIPE = Lesson(
    key="dualpipe",
    title="DualPipe",
    text="""
**DualPipe** runs micro-batches through the devices from both ends: one half goes down, the other
half (drawn in a lighter shade) goes up. Every device then holds two stages, so the weights exist
**twice**. It needs an even number of devices, and an even number of micro-batches, at least two
per device: the sliders offer only those.

Its point is overlap: a forward of one flow and a backward of the other run as one **block**, F&B,
so that the communication of one hides behind the computation of the other. Be careful when you
compare: neither result of a block leaves before the block ends. If a block is no faster than its
parts (F&B = F + B, that is 100 %), the same order run *one operator after the other* is never
longer and mostly shorter.
Set F&B to what your hardware measures. ZB-V is there for comparison: one copy of the weights.
""",
    knobs=(
        devices_knob(step=2),
        batches_knob(lambda v: Scale(2 * v["p"], 20, 2), more=" Even, at least two per device."),
        *SPLIT_COSTS,
        Knob("pair", "F&B (% of F + B)", 100,
             "Time of an overlapped pair, relative to its parts one after the other.",
             Scale(60, 100, 5)),
    ),
    examples=_examples,
    checks=_checks,
    question=_question,
)  # fmt: skip
