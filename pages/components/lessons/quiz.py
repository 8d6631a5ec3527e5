"""A question the page checks itself, with feedback that explains."""

from __future__ import annotations

import streamlit as st

from pages.components.lessons.model import Question, same
from planner_core.charts.numbers import number


def quiz(question: Question, key: str) -> bool:
    """Draw a question; return whether it has been answered rightly.

    ``key`` names the lesson and its numbers: another key is another question.
    """
    tries: dict[str, list[float | str]] = st.session_state.setdefault("tour answers", {})
    with st.form(f"quiz {key}"):
        st.markdown(f"**Your turn.** {question.text}")
        given: float | str | None
        if question.choices:
            given = st.radio(
                "Answer", question.choices, index=None, key=f"answer {key}",
                label_visibility="collapsed",
            )  # fmt: skip
        else:
            given = st.number_input(
                f"Answer ({question.unit})", value=None, format="%g", step=1.0,
                placeholder="a number", key=f"answer {key}",
            )  # fmt: skip
        if st.form_submit_button("Check", icon=":material/check:"):
            if given is None:
                st.caption("Choose an answer first." if question.choices else "Type a number.")
            else:
                tries.setdefault(key, []).append(given)
    answers = tries.get(key, [])
    if not answers:
        return False
    if right(question, answers[-1]):
        st.success(f"Right. {question.why}", icon=":material/check_circle:")
    elif len(answers) == 1:
        st.warning(f"{_hint(question, answers[-1])} Try once more.", icon=":material/replay:")
    else:
        st.info(f"{_hint(question, answers[-1])} {question.why}", icon=":material/lightbulb:")
    return any(right(question, answer) for answer in answers)


def right(question: Question, given: float | str) -> bool:
    """Whether an answer is right; numbers may be rounded to a tenth of a percent."""
    if isinstance(given, str) or isinstance(question.answer, str):
        return given == question.answer
    return same(given, question.answer) or abs(given - question.answer) <= 1e-3 * abs(
        question.answer
    )


def _hint(question: Question, given: float | str) -> str:
    if isinstance(given, str) or isinstance(question.answer, str):
        return f"Not {given}."
    return f"{number(given)} is too {'high' if given > question.answer else 'low'}."
