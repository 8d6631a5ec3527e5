"""Splitting the backward, and the V placements that trade bubbles against memory."""

from __future__ import annotations

from collections.abc import Sequence

from pages.components.lessons.examples import Example, example, lesson_pipeline
from pages.components.lessons.model import (
    SPLIT_COSTS,
    Check,
    Lesson,
    Numbers,
    Question,
    Scale,
    batches_knob,
    devices_knob,
    same,
)
from planner_core.charts.numbers import number


def _numbers(v: Numbers) -> dict:
    return {"p": int(v["p"]), "m": int(v["m"]), "F": v["F"], "I": v["I"], "W": v["W"]}


def _split_backward(v: Numbers) -> list[Example]:
    problem = lesson_pipeline(**_numbers(v))
    return [example(name, problem) for name in ("zb-h1", "zb-h2", "1f1b")]


def _split_backward_checks(v: Numbers, shown: Sequence[Example]) -> list[Check]:
    p, m = v["p"], v["m"]
    forward, gradient, weight = v["F"], v["I"], v["W"]
    first, second, one = shown
    beyond = _beyond(
        (m < p, f"it needs m ≥ p = {p:g} micro-batches"),
        (
            weight > min(forward, gradient),
            "W is longer than F or I, so W cannot fill the gaps exactly",
        ),
    )
    beyond_second = _beyond(
        (m < 2 * p - 1, f"it needs m ≥ 2p−1 = {2 * p - 1:g} micro-batches"),
        (
            weight > forward or 2 * weight > forward + gradient,
            "W is long: the bubble cannot fall below zero",
        ),
    )
    return [
        Check("Bubble of 1F1B", "(p-1)(F+I+W)", (p - 1) * (forward + gradient + weight),
              one.bubble, "ms"),
        Check("Bubble of ZB-H1", "(p-1)(F+I-W)", (p - 1) * (forward + gradient - weight),
              first.bubble, "ms", beyond),
        Check("Peak memory of ZB-H1", "\\min(m,\\;p)", min(m, p), max(first.peaks),
              "activations"),
        Check("Bubble of ZB-H2", "(p-1)(F+I-2W)", (p - 1) * (forward + gradient - 2 * weight),
              second.bubble, "ms", beyond_second),
        Check("Peak memory of ZB-H2", "\\min(m,\\;2p-1)", min(m, 2 * p - 1),
              max(second.peaks), "activations"),
    ]  # fmt: skip


def _split_backward_question(v: Numbers, shown: Sequence[Example]) -> Question:
    answer = (v["F"] + v["I"]) / 2
    return Question(
        "Keep F and I as they are. At which W does the formula of ZB-H2 say that the bubble is 0?",
        answer,
        f"(p−1)(F+I−2W) = 0 at W = (F+I)/2 = {number(answer)} ms. With F = I = W, the usual rule "
        "of thumb, the two weight parts fill the gap exactly.",
        "ms",
    )


SPLIT_BACKWARD = Lesson(
    key="zero-bubble",
    title="Split the backward",
    text="""
A backward does two things: the gradient of the **input** (I, teal), which the stage before waits
for, and the gradient of the **weights** (W, green), which nobody waits for. So split it,
B = I + W: I runs at once, and W fills the gaps.

**ZB-H1** needs no more memory than 1F1B's first device. **ZB-H2** warms up with more forwards and
closes the gaps inside each device's window, for about twice the memory. The *bubble* here is the
idle time between a device's first start and its last finish. Mind the makespan: the last device
still starts (p−1)F late, so with F = I = W ZB-H2 never ends sooner than ZB-H1. It gains where the
next step may begin on gpu0 before this one has ended on the last device, or where costs differ.
""",
    knobs=(devices_knob(high=6), batches_knob(), *SPLIT_COSTS),
    examples=_split_backward,
    checks=_split_backward_checks,
    question=_split_backward_question,
)


V_SCHEDULES = ("zb-v", "v-half", "v-min")


def _v(v: Numbers) -> list[Example]:
    numbers = _numbers(v)
    problem = lesson_pipeline(**numbers, placement="v", chunks=2)
    return [
        *(example(name, problem) for name in V_SCHEDULES),
        example("1f1b", lesson_pipeline(**numbers)),
    ]


def _v_checks(v: Numbers, shown: Sequence[Example]) -> list[Check]:
    p, m = int(v["p"]), int(v["m"])
    equal = same(v["F"], v["I"]) and same(v["I"], v["W"])
    beyond = _beyond(
        (not equal, "derived for F = I = W"),
        (m < 2 * p - 1, f"it needs m ≥ 2p−1 = {2 * p - 1} micro-batches"),
    )
    peaks = (
        ("ZB-V", "\\min(m,\\;p)", p),
        ("V-Half", "\\min\\!\\left(m,\\lfloor\\tfrac{p+2}{2}\\rfloor\\right)", (p + 2) // 2),
        ("V-Min", "\\min\\!\\left(m,\\lfloor\\tfrac{p+4}{3}\\rfloor\\right)", (p + 4) // 3),
    )
    return [
        Check("Bubble of ZB-V", "0", 0.0, shown[0].bubble, "ms", beyond),
        *(
            Check(f"Peak memory of {title}", formula, min(m, peak), max(one.peaks), "activations")
            for (title, formula, peak), one in zip(peaks, shown[:3], strict=True)
        ),
    ]


def _v_question(v: Numbers, shown: Sequence[Example]) -> Question | None:
    limit = (int(v["p"]) + 2) // 2
    fitting = [one for one in shown if max(one.peaks) <= limit + 1e-9]
    if not fitting:
        return None
    best = min(fitting, key=lambda one: (one.metrics.makespan, max(one.peaks)))
    ends = ", ".join(f"{one.title} {number(one.metrics.makespan)} ms" for one in fitting)
    return Question(
        f"Every device has room for {limit} activations. Which of these schedules do you take for "
        "the shortest makespan?",
        best.title,
        f"These fit into {limit}: {ends}. The shortest is {best.title}"
        + (" (where two end at the same time, the one that needs less memory)." if
           sum(same(one.metrics.makespan, best.metrics.makespan) for one in fitting) > 1 else "."),
        choices=tuple(one.title for one in shown),
    )  # fmt: skip


V = Lesson(
    key="v",
    title="ZB-V, V-Half, V-Min",
    text="""
1F1B is unfair to gpu0: it holds p activations, the last device only one. A **V placement**
evens that out. Each device holds two chunks: micro-batches run down the devices and back up, so
the device with the first chunk also has the last one.

From the same placement come three schedules that trade memory against bubbles: **ZB-V** has
1F1B's peak memory and, with F = I = W, no bubble inside the windows; **V-Half** needs about half
the memory and **V-Min** about a third, with larger bubbles. Costs and activations below are per
device, so all four do the same work.
""",
    knobs=(devices_knob(), batches_knob(Scale(1, 20)), *SPLIT_COSTS),
    examples=_v,
    checks=_v_checks,
    question=_v_question,
)


def _beyond(*reasons: tuple[bool, str]) -> str:
    return next((text for applies, text in reasons if applies), "")
