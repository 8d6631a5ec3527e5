"""1F1B and its interleaved form: the same work, less memory, then a smaller bubble."""

from __future__ import annotations

from collections.abc import Sequence

from pages.components.lessons.examples import Example, example, lesson_pipeline
from pages.components.lessons.model import (
    FUSED_COSTS,
    Check,
    Knob,
    Lesson,
    Numbers,
    Question,
    Scale,
    batches_knob,
    devices_knob,
)
from planner_core.charts.numbers import number


def _linear(v: Numbers) -> dict:
    return {"p": int(v["p"]), "m": int(v["m"]), "F": v["F"], "B": v["B"]}


def _one_by_one(v: Numbers) -> list[Example]:
    problem = lesson_pipeline(**_linear(v))
    return [example("1f1b", problem), example("gpipe", problem)]


def _one_by_one_checks(v: Numbers, shown: Sequence[Example]) -> list[Check]:
    first, p, m, both = shown[0], int(v["p"]), int(v["m"]), v["F"] + v["B"]
    rows = [
        Check("Makespan", "(m+p-1)(F+B)", (m + p - 1) * both, first.metrics.makespan, "ms"),
        Check("Bubble", "(p-1)(F+B)", (p - 1) * both, first.bubble, "ms"),
    ]
    for d in (0, p - 1):
        rows.append(
            Check(
                f"Peak memory of gpu{d}",
                f"\\min(m,\\;p-{d})" if d else "\\min(m,\\;p)",
                min(m, p - d),
                first.peaks[d],
                "activations",
            )
        )
    return rows


def _one_by_one_question(v: Numbers, shown: Sequence[Example]) -> Question:
    p, m = int(v["p"]), int(v["m"])
    many = 10 * m
    answer = min(many, p)
    return Question(
        f"The batch becomes ten times as large: {many} micro-batches. How many activations does "
        "gpu0 hold at most under 1F1B?",
        answer,
        f"gpu0 runs p = {p} forwards before its first backward is due; from then on every forward "
        f"follows a backward. So it holds min({many}, {p}) = {answer}, while GPipe would hold "
        f"{many}.",
        "activations",
    )


ONE_BY_ONE = Lesson(
    key="1f1b",
    title="1F1B: less memory",
    text="""
**1F1B** keeps GPipe's makespan and changes the order: as soon as a backward is possible, it
runs, and then *one forward, one backward* in turn. A backward frees the activations of its
micro-batch, so device d never holds more than p−d of them, however long the batch is.

Compare the memory curves of both schedules. Then note what has not changed: the bubble. A
schedule that only reorders F and B on this placement cannot make it smaller.
""",
    knobs=(devices_knob(), batches_knob(), *FUSED_COSTS),
    examples=_one_by_one,
    checks=_one_by_one_checks,
    question=_one_by_one_question,
)


def _interleaved(v: Numbers) -> list[Example]:
    chunks, numbers = int(v["v"]), _linear(v)
    rounds = lesson_pipeline(**numbers, placement="interleaved", chunks=chunks)
    return [
        example("interleaved-1f1b", rounds, chunks=chunks),
        example("1f1b", lesson_pipeline(**numbers)),
    ]


def _interleaved_checks(v: Numbers, shown: Sequence[Example]) -> list[Check]:
    first = shown[0]
    p, m, chunks, both = int(v["p"]), int(v["m"]), int(v["v"]), v["F"] + v["B"]
    bubble = (p - 1) * both / chunks
    return [
        Check("Makespan", "m(F+B)+\\tfrac{(p-1)(F+B)}{v}", m * both + bubble,
              first.metrics.makespan, "ms"),
        Check("Bubble", "\\tfrac{(p-1)(F+B)}{v}", bubble, first.bubble, "ms"),
        Check(
            "Peak memory of gpu0",
            "\\min\\!\\left(m,\\;\\tfrac{(v+1)p-1}{v}\\right)",
            min(m, ((chunks + 1) * p - 1) / chunks),
            first.peaks[0],
            "activations",
        ),
    ]  # fmt: skip


def _interleaved_question(v: Numbers, shown: Sequence[Example]) -> Question:
    p, chunks = int(v["p"]), int(v["v"])
    answer = p * chunks - 1
    return Question(
        "How many times does the forward of one micro-batch hand its result to another device?",
        answer,
        f"There are v·p = {chunks * p} chunks, each on another device than the one before: "
        f"{number(answer)} transfers, against p−1 = {p - 1} with 1F1B. A smaller bubble is "
        "paid for in communication.",
        "transfers",
    )


INTERLEAVED = Lesson(
    key="interleaved",
    title="Interleaving",
    text="""
Give every device v **chunks** of the model in place of one stage: with v = 2 and 4 devices, gpu0
holds chunks 0 and 4. A micro-batch goes round the devices v times in shorter hops, so filling and
draining the pipeline takes 1/v of the time. The lighter shade is the second chunk.

Megatron-LM's **interleaved 1F1B** runs p micro-batches through a chunk before it turns to the
next, so m must be a multiple of p; the slider offers only those. The price: more transfers, and
more activations in memory.
""",
    knobs=(
        devices_knob(high=6),
        batches_knob(lambda v: Scale(v["p"], 4 * v["p"], v["p"]), more=" A multiple of p."),
        Knob("v", "Chunks v", 2, "Pieces of the model on each device.", Scale(2, 4)),
        *FUSED_COSTS,
    ),
    examples=_interleaved,
    checks=_interleaved_checks,
    question=_interleaved_question,
)
