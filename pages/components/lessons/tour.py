"""The way through the lessons: list, progress, links, previous and next."""

from __future__ import annotations

import streamlit as st

from pages.components.lessons import LESSONS
from pages.components.lessons.lesson import draw_lesson
from pages.components.lessons.player import stop_playing

_LESSON, _DONE, _LINK = "learn/lesson", "tour done", "tour link"
_KEYS = [lesson.key for lesson in LESSONS]


def tour() -> None:
    """Draw the list of lessons and the one that is open."""
    _read_link()
    rail, body = st.columns([1, 5], gap="medium")
    with body:
        index = _KEYS.index(st.session_state[_LESSON])
        lesson = LESSONS[index]
        st.header(f"{index + 1}. {lesson.title}", anchor=False)
        if draw_lesson(lesson):
            _done().add(lesson.key)
        _neighbours(index)
    with rail:
        _rail()
    _write_link()


def _rail() -> None:
    done = _done()
    st.progress(len(done) / len(LESSONS), f"{len(done)} of {len(LESSONS)} lessons done")
    st.radio(
        "Lessons",
        _KEYS,
        format_func=lambda key: (
            f"{_KEYS.index(key) + 1}. {LESSONS[_KEYS.index(key)].title}"
            + (" ✓" if key in done else "")
        ),
        key=_LESSON,
        on_change=stop_playing,
    )


def _neighbours(index: int) -> None:
    st.divider()
    left, _, right = st.columns([2, 3, 2])
    if index > 0:
        left.button(
            LESSONS[index - 1].title,
            icon=":material/arrow_back:",
            on_click=_open,
            args=(_KEYS[index - 1],),
            width="stretch",
            key="tour previous",
        )
    if index + 1 < len(LESSONS):
        right.button(
            LESSONS[index + 1].title,
            icon=":material/arrow_forward:",
            type="primary",
            on_click=_open,
            args=(_KEYS[index + 1],),
            width="stretch",
            key="tour next",
        )


def _open(key: str) -> None:
    stop_playing()
    st.session_state[_LESSON] = key


def _done() -> set[str]:
    return st.session_state.setdefault(_DONE, set())


def _read_link() -> None:
    """Follow the link the page was opened with; later the page itself writes it."""
    asked = st.query_params.get("lesson")
    if asked != st.session_state.get(_LINK) and asked in _KEYS:
        st.session_state[_LESSON] = asked
    if st.session_state.get(_LESSON) not in _KEYS:
        st.session_state[_LESSON] = _KEYS[0]
    named = st.query_params.get("done", "").split(".")
    _done().update(key for key in named if key in _KEYS)


def _write_link() -> None:
    """Keep lesson and progress in the address, for a bookmark or a class."""
    wanted = {"lesson": st.session_state[_LESSON]}
    if _done():
        wanted["done"] = ".".join(key for key in _KEYS if key in _done())
    if dict(st.query_params) != wanted:
        st.query_params.from_dict(wanted)
    st.session_state[_LINK] = wanted["lesson"]
