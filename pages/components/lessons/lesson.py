"""Draw one lesson: text, sliders, schedules in time, formulas, question."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.components.lessons.examples import Example
from pages.components.lessons.model import Check, Extra, Knob, Lesson, Numbers
from pages.components.lessons.player import player
from pages.components.lessons.quiz import quiz
from planner_core.charts.numbers import number, percent

TERMS = (
    "Bubble: idle time of a device between its first start and its last finish, on the device "
    "where that span is longest. Idle share: waiting time of all devices over devices × makespan. "
    "act.: saved activations of one device's share of the model for one micro-batch."
)
"""Definitions under the tables."""

SHOWN_AT_FIRST = 2
"""Schedules of a lesson that are drawn at first; all are in its table."""


def draw_lesson(lesson: Lesson) -> bool:
    """Draw a lesson; return whether its question has been answered."""
    text, controls = st.columns([3, 2], gap="large")
    with text:
        st.markdown(lesson.text)
    with controls, st.container(border=True):
        numbers = _knobs(lesson)
    signature = f"{lesson.key} " + " ".join(f"{k}={v:g}" for k, v in numbers.items())
    extra = lesson.extra(numbers, signature) if lesson.extra is not None else Extra()
    examples = [*extra.examples, *lesson.examples(numbers)]
    if examples:
        _schedules(lesson, examples, signature)
    left, right = st.columns([8, 5], gap="medium")
    checks = lesson.checks(numbers, examples) if examples else ()
    with left:
        if checks:
            _check_table(checks)
        if len(examples) > 1:
            _figures(examples)
        if examples:
            st.caption(TERMS)
    if lesson.question is None:
        return extra.solved
    with right:
        question = lesson.question(numbers, examples)
        if question is None:
            st.caption("With these numbers there is nothing to ask; move a slider.")
            return False
        return quiz(question, signature)


def _knobs(lesson: Lesson) -> Numbers:
    values: dict[str, float] = {}
    columns = st.columns(2)
    for i, knob in enumerate(lesson.knobs):
        with columns[i % 2]:
            values[knob.name] = _slider(f"learn/{lesson.key}/{knob.name}", knob, values)
    return values


def _slider(key: str, knob: Knob, before: Numbers) -> float:
    """Draw a slider; a value that it no longer offers goes to the nearest that it does."""
    scale = knob.offered(before)
    kind = int if float(scale.step).is_integer() else float
    st.session_state[key] = kind(scale.nearest(st.session_state.get(key, knob.default)))
    low, high, step = kind(scale.low), kind(scale.high), kind(scale.step)
    return float(st.slider(knob.label, low, high, step=step, format="%g", key=key, help=knob.help))


def _schedules(lesson: Lesson, examples: list[Example], signature: str) -> None:
    shown = examples
    if len(examples) > SHOWN_AT_FIRST:
        titles = [example.title for example in examples]
        picked = st.pills(
            "Schedules to draw",
            titles,
            selection_mode="multi",
            default=titles[:SHOWN_AT_FIRST],
            key=f"learn/{lesson.key}/schedules/{'+'.join(e.name for e in examples)}",
        )
        shown = [example for example in examples if example.title in picked] or examples[:1]
    notes = [_note(example) for example in shown]
    player(shown, f"{signature} " + "+".join(e.name for e in shown), note=notes)


def _note(example: Example) -> str:
    """Say where a schedule needs more memory than the devices have."""
    over = [device for device in example.metrics.devices if device.peak_memory > device.memory]
    if not over:
        return ""
    worst = max(over, key=lambda device: device.peak_memory)
    return (
        f"does not fit: {worst.id} would hold {number(worst.peak_memory)} activations, "
        f"its limit is {number(worst.memory)}"
    )


def _check_table(checks: Sequence[Check]) -> None:
    st.markdown("**Formula beside simulation**")
    lines = ["| | Formula | gives | simulated | |", "|:--|:--|--:|--:|:--|"]
    for check in checks:
        lines.append(
            f"| {check.what} | ${{{check.formula}}}$ | {_value(check.predicted, check.unit)} | "
            f"{_value(check.simulated, check.unit)} | {_agreement(check)} |"
        )
    st.markdown("\n".join(lines))


def _agreement(check: Check) -> str:
    if check.beyond:
        return f"does not apply: {check.beyond}"
    return ":green[agree]" if check.agrees else ":red[differ]"


def _value(value: float, unit: str) -> str:
    """Write a number and its unit so that a narrow table does not part them."""
    name = "act." if unit == "activations" else unit
    text = percent(value) if unit == "%" else f"{number(round(value, 6))} {name}"
    return text.replace(" ", "\u00a0")


def _figures(examples: Sequence[Example]) -> None:
    st.markdown("**Side by side**")
    lines = [
        "| | makespan | bubble | idle share | peak memory |",
        "|:--|--:|--:|--:|--:|",
    ]
    for example in examples:
        title = f"{example.title} (does not fit)" if _note(example) else example.title
        figures = (
            _value(example.metrics.makespan, "ms"),
            _value(example.bubble, "ms"),
            _value(example.metrics.idle_share, "%"),
            _value(max(example.peaks), "activations"),
        )
        lines.append(f"| {title} | {' | '.join(figures)} |")
    st.markdown("\n".join(lines))
