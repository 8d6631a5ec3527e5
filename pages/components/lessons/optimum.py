"""The optimal plan: what a lower bound is and how a solver meets it."""

from __future__ import annotations

from collections.abc import Sequence

from pages.components.lessons.examples import Example, example, found, lesson_pipeline
from pages.components.lessons.model import (
    SPLIT_COSTS,
    Check,
    Extra,
    Knob,
    Lesson,
    Numbers,
    Question,
    Scale,
    batches_knob,
    devices_knob,
    same,
)
from pages.components.lessons.proof import proof
from planner_core.charts.numbers import number
from planner_core.problem import Problem

EXPERTS = ("zb-greedy", "zb-h1", "1f1b")


def _problem(v: Numbers) -> Problem:
    return lesson_pipeline(
        int(v["p"]), int(v["m"]), F=v["F"], I=v["I"], W=v["W"], memory=v["memory"]
    )


def _examples(v: Numbers) -> list[Example]:
    return [example(name, _problem(v)) for name in EXPERTS]


def _load_bound(v: Numbers) -> float:
    return (v["p"] - 1) * v["F"] + v["m"] * (v["F"] + v["I"] + v["W"])


def _checks(v: Numbers, shown: Sequence[Example]) -> list[Check]:
    """The bound beside the plan, once there is one; before that it would give the answer away."""
    plan = found("plan", shown)
    if plan is None:
        return []
    bound, makespan = _load_bound(v), plan.metrics.makespan
    above = makespan > bound and not same(makespan, bound)
    beyond = "memory or costs keep the plan above it" if above else ""
    return [Check("Bound by device load", "(p-1)F+m(F+I+W)", bound, makespan, "ms", beyond)]


def _question(v: Numbers, shown: Sequence[Example]) -> Question:
    p, m = int(v["p"]), int(v["m"])
    start, work = (p - 1) * v["F"], m * (v["F"] + v["I"] + v["W"])
    return Question(
        f"gpu{p - 1} cannot start before micro-batch 0 has come through the other devices, and "
        f"then has all its own work to do. Which makespan can therefore no schedule beat?",
        _load_bound(v),
        f"(p−1)F = {number(start)} ms of waiting and m(F+I+W) = {number(work)} ms of work: "
        f"{number(start + work)} ms. This is a lower bound by device load. Tight memory pushes "
        "the true optimum above it; then a stronger argument or the solver has to prove more.",
        "ms",
    )


def _prove(v: Numbers, key: str) -> Extra:
    return Extra(examples=proof(_problem(v), key))


OPTIMUM = Lesson(
    key="optimum",
    title="The optimal plan",
    text="""
So far people invented each order. A **planner** searches all orders: it writes the problem as a
mixed-integer programme (who runs when, memory never above the limit) and returns a plan with a
**proof**. The proof is a *lower bound*: an argument that no schedule is shorter. Where plan and
bound meet, the plan is optimal, and nobody need look further.

Below are expert schedules for devices with a memory limit; those that need more are marked. Let
the planner solve the same problem and compare. Then try a tighter memory, or a looser one.
""",
    knobs=(
        devices_knob(high=4),
        batches_knob(Scale(2, 8), default=6),
        Knob("memory", "Memory (activations)", 3, "Limit of every device.", Scale(1, 8)),
        *SPLIT_COSTS,
    ),
    examples=_examples,
    checks=_checks,
    question=_question,
    extra=_prove,
)
