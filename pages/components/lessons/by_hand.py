"""The last lesson: order a small pipeline by hand and meet the optimum."""

from __future__ import annotations

from collections.abc import Sequence

from pages.components.lessons.examples import Example, lesson_pipeline
from pages.components.lessons.exercise import exercise
from pages.components.lessons.model import (
    SPLIT_COSTS,
    Check,
    Extra,
    Knob,
    Lesson,
    Numbers,
    Scale,
    batches_knob,
    devices_knob,
)


def _none(v: Numbers) -> list[Example]:
    return []


def _no_checks(v: Numbers, shown: Sequence[Example]) -> list[Check]:
    return []


def _exercise(v: Numbers, key: str) -> Extra:
    problem = lesson_pipeline(
        int(v["p"]), int(v["m"]), F=v["F"], I=v["I"], W=v["W"], memory=v["memory"]
    )
    return Extra(solved=exercise(problem, key))


BY_HAND = Lesson(
    key="by-hand",
    title="Order it yourself",
    text="""
Now it is your turn to schedule. Choose what each device runs next: a forward **F**, a
backward-input **I** or a backward-weight **W**; the number is the micro-batch. Each operator starts
as soon as its device is free and its inputs are there.

The rules: F needs the F of the same micro-batch on the device above. I needs the I on the device
below, and on the last device its own F. W needs the I on its own device. F saves one activation
and its W frees it; no device may hold more than the memory limit. Orders that cannot run are
refused, with the reason. Place all operators, then compare with 1F1B and with the proved optimum.
Can you reach it?
""",
    knobs=(
        devices_knob(high=3, default=3),
        batches_knob(Scale(2, 4), default=3),
        Knob("memory", "Memory (activations)", 3, "Limit of every device.", Scale(1, 4)),
        *SPLIT_COSTS,
    ),
    examples=_none,
    checks=_no_checks,
    extra=_exercise,
)
