"""Taking what is done on the canvas, in tables and in settings, so that nothing of it is lost."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from pages.components.editor.drawing import Drawing
from pages.components.editor.edits import Document, Edit, blank
from pages.components.editor.tables import edits_of
from pages.components.problems import Source, add_problem, base_problem, own_problems
from planner_core.formats.native import problem_document

DRAWN = "Drawn here."
"""What tells problems of the editor from those uploaded or generated."""

CANVAS = "draw/canvas"
"""Key of the canvas."""

# A rerun that the browser asks for while a callback runs ends that callback at its next look at
# the session. So the callbacks below look first and change afterwards, and `_take_missed` takes
# what an ended one left. An ended one goes on until then, beside the run that ended it, so whoever
# takes something holds the drawing (`_held`) from before it looks until all is stored.
#
# The first edit of a sample makes a copy and chooses it, while messages may be under way that
# still name the sample. Whether a choice that comes is one of those or the user's is known once
# the canvas has said that the copy's key reached the browser (`Drawing.left`).
#
# A control's callback is also called, without a change, when the run that first showed it was
# ended early. So callbacks compare what they are told with what was shown.


def _begin(document: Document, key: str) -> Drawing:
    before: Drawing | None = st.session_state.get("drawing")
    # A browser whose server was started anew still tells edits of the session before.
    number = before.number + 1 if before else secrets.randbelow(10**9)
    rev, applied = (before.rev + 1, before.applied) if before else (0, 0)
    drawing = Drawing(document, number=number, rev=rev, applied=applied, key=key)
    if before:
        drawing.lock = before.lock  # whoever waits for it gets the one drawn now
    st.session_state["drawing"] = drawing
    return drawing


@contextmanager
def _held() -> Iterator[Drawing]:
    """Hold the drawing of the session, which other runs of the session wait for."""
    with st.session_state["drawing"].lock:
        yield st.session_state["drawing"]


def draw_empty() -> None:
    """Begin an empty graph; it becomes a problem with its first operator."""
    with _held() as drawing:
        _take_missed(drawing)  # what was done to the graph before still counts for that one
        _choose(drawing)
        empty = _begin(blank(), drawing.key)
        empty.starts_new, empty.left = True, drawing.left


def take_canvas() -> None:
    """Take what was done on the canvas."""
    with _held() as drawing:
        drawing.from_browser(_from_canvas())
        _choose(drawing)


def take_table(name: str, widget: str) -> None:
    """Take what was typed in a table."""
    with _held() as drawing:
        _take_typed(drawing, name, st.session_state[widget])
        _choose(drawing)


def take(widget: str, shown: Any, edit: Callable[[Any], Edit]) -> None:
    """Take what was set in a control, as the edit that its value stands for."""
    value = st.session_state[widget]
    if value == shown:
        return
    with _held() as drawing:
        drawing.change([edit(value)], "settings")
        _choose(drawing)


def _from_canvas() -> dict[str, Any] | None:
    return (st.session_state.get(CANVAS) or {}).get("edits")


def _take_typed(drawing: Drawing, name: str, typed: Any) -> None:
    base = drawing.base(name)
    drawing.typed[name] = copy.deepcopy(dict(typed))
    drawing.change(edits_of(name, base, typed), name, base)


def _take_missed(drawing: Drawing) -> None:
    """Take what the callbacks should have taken, had they been let."""
    drawing.from_browser(_from_canvas())
    for name in list(drawing.bases):
        typed = st.session_state.get(table_key(drawing, name))
        if typed and any(typed.values()) and dict(typed) != drawing.typed.get(name):
            _take_typed(drawing, name, typed)
    _keep(drawing)


def _choose(drawing: Drawing) -> None:
    """Let a changed drawing be the chosen problem, if the browser still names an older one."""
    _keep(drawing)
    if st.session_state.get("problem") in drawing.left:
        st.session_state["problem"] = drawing.key


def _keep(drawing: Drawing) -> None:
    """Let the other pages know what is drawn; a sample is copied first."""
    problem = drawing.problem
    if problem is None or problem is drawing.kept:
        return
    own = own_problems()
    key = drawing.key
    if not drawing.starts_new and key in own and own[key][0].teaches == DRAWN:
        source, before = own[key]
        title = source.title if problem.name == before.name else problem.name
        own[key] = (Source(key, title, DRAWN), problem)
    else:
        title = problem.name if drawing.starts_new else f"{problem.name}, edited"
        drawing.left.add(key)
        drawing.key = add_problem(problem, title, DRAWN)
        drawing.starts_new = False
    drawing.kept = problem


def table_key(drawing: Drawing, name: str) -> str:
    """Key of a table; another one when it must start anew."""
    return f"draw/{name}/{drawing.number}/{drawing.version(name)}"


def drawing_of(key: str) -> Drawing:
    """Return the drawing of the chosen problem, begun anew when another is chosen."""
    if "drawing" not in st.session_state:
        return _begin(problem_document(base_problem(key)), key)
    with _held() as drawing:
        _take_missed(drawing)
        if drawing.key == key:
            if (_from_canvas() or {}).get("key") == key:
                drawing.left.clear()
            return drawing
        if key in drawing.left:
            st.session_state["next problem"] = drawing.key
            st.rerun()
        return _begin(problem_document(base_problem(key)), key)
