"""What a lesson is made of; content and drawing both speak in these records."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pages.components.lessons.examples import Example
from planner_core.problem import RELATIVE_TOLERANCE

Numbers = Mapping[str, float]
"""Values of a lesson's sliders by name."""


@dataclass(frozen=True)
class Scale:
    """What a slider offers: from ``low`` in steps to ``high``."""

    low: float
    high: float
    step: float = 1

    def nearest(self, value: float) -> float:
        """Return the offered value that is nearest to another."""
        steps = round((self.high - self.low) / self.step)
        at = math.floor((value - self.low) / self.step + 0.5)
        return self.low + self.step * min(max(at, 0), steps)

    @property
    def values(self) -> list[float]:
        """All that is offered, ascending."""
        return [
            self.low + i * self.step for i in range(round((self.high - self.low) / self.step) + 1)
        ]


@dataclass(frozen=True)
class Knob:
    """A slider.

    Parameters
    ----------
    name, label : str
    default : float
    help : str
    scale : Scale, or callable
        What it offers, always or with the values of the sliders before it: only numbers for
        which all schedules of the lesson exist. Whole numbers if its step is whole.
    """

    name: str
    label: str
    default: float
    help: str
    scale: Scale | Callable[[Numbers], Scale]

    def offered(self, before: Numbers) -> Scale:
        """Return what it offers with the values of the sliders before it."""
        return self.scale(before) if callable(self.scale) else self.scale


@dataclass(frozen=True)
class Check:
    """A formula beside what the simulator measured.

    Parameters
    ----------
    what : str
    formula : str
        LaTeX.
    predicted, simulated : float
    unit : str
        ``%`` for shares, which are then given as 0 … 1.
    beyond : str
        Why the formula does not hold for these numbers; empty where it does.
    """

    what: str
    formula: str
    predicted: float
    simulated: float
    unit: str
    beyond: str = ""

    @property
    def agrees(self) -> bool:
        """Whether both are the same number."""
        return same(self.predicted, self.simulated)


@dataclass(frozen=True)
class Question:
    """A question about the numbers on screen; a choice if it has choices, else a number."""

    text: str
    answer: float | str
    why: str
    unit: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Extra:
    """What a lesson's own part has come to."""

    solved: bool = False
    examples: tuple[Example, ...] = ()
    """Schedules to draw before the lesson's."""


@dataclass(frozen=True)
class Lesson:
    """One step of the tour.

    Parameters
    ----------
    key : str
        In links.
    title, text : str
        The text is Markdown.
    knobs : tuple of Knob
    examples : callable
        Schedules to draw.
    checks : callable
        Formulas beside the simulated numbers; called with the examples there are.
    question : callable, optional
        Returns None where the numbers leave nothing to ask.
    extra : callable, optional
        Draws what is special to the lesson, above the examples, from its numbers and a key that
        names them; returns an :class:`Extra`.
    """

    key: str
    title: str
    text: str
    knobs: tuple[Knob, ...]
    examples: Callable[[Numbers], Sequence[Example]]
    checks: Callable[[Numbers, Sequence[Example]], Sequence[Check]]
    question: Callable[[Numbers, Sequence[Example]], Question | None] | None = None
    extra: Callable[[Numbers, str], Extra] | None = None


def same(first: float, second: float) -> bool:
    """Whether two numbers agree within rounding."""
    return abs(first - second) <= 1e3 * RELATIVE_TOLERANCE * max(1.0, abs(first), abs(second))


def devices_knob(high: int = 8, default: int = 4, step: int = 1) -> Knob:
    return Knob("p", "Devices p", default, "One stage of the model on each.", Scale(2, high, step))


def batches_knob(
    scale: Scale | Callable[[Numbers], Scale] = Scale(1, 16), default: int = 8, more: str = ""
) -> Knob:
    return Knob(
        "m", "Micro-batches m", default, f"Equal pieces that the batch is cut into.{more}", scale
    )


def cost_knob(letter: str, what: str, default: float = 1.0, high: float = 3.0) -> Knob:
    return Knob(
        letter, f"{letter} (ms)", default, f"{what}, per stage and micro-batch.",
        Scale(0.5, high, 0.5),
    )  # fmt: skip


FUSED_COSTS = (cost_knob("F", "Forward", high=4.0), cost_knob("B", "Backward", 2.0, 4.0))
SPLIT_COSTS = (
    cost_knob("F", "Forward"),
    cost_knob("I", "Backward for the input"),
    cost_knob("W", "Backward for the weights"),
)
