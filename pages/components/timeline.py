"""Schedules under each other on one time axis, drawn by the browser."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from itertools import count
from typing import Any

import streamlit as st

from pages.components.setup import ROOT
from planner_core.charts import Entry, timeline
from planner_core.charts.theme import Theme

_LOADER = """
export default function (component) {
  const file = new URL("app/static/timeline.js?%s", document.baseURI);
  const loaded = import(file).then((module) => module.show(component));
  return () => loaded.then((leave) => leave());
}
"""

_CODE = ("timeline.js", "timeline_paint.js", "timeline_pens.js")

_STAMPS = count()


@lru_cache(maxsize=1)
def _component() -> Any:
    """Declare the component; its code is fetched anew only when it has changed."""
    code = b"".join((ROOT / "static" / name).read_bytes() for name in _CODE)
    return st.components.v2.component(
        "timeline",
        html='<div class="timeline"></div>',
        css=(ROOT / "static" / "timeline.css").read_text(encoding="utf-8"),
        js=_LOADER % hashlib.sha256(code).hexdigest()[:12],
        isolate_styles=False,  # styles and names of the page apply to what it draws
    )


@lru_cache(maxsize=8)
def document(
    entries: tuple[Entry, ...],
    colours: Theme,
    colour_by: str = "kind",
    memory: bool = True,
    highlight: tuple[str, tuple[int, ...]] | None = None,
    picked: int | None = None,
    micro_batch: int | None = None,
    window: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """What is drawn, kept while other controls change; the browser knows it by its stamp."""
    drawn = timeline(
        entries,
        colours,
        colour_by=colour_by,
        memory=memory,
        highlight=highlight,
        picked=picked,
        micro_batch=micro_batch,
        window=window,
    )
    # The reader's zoom stays while the same schedules are coloured or marked in another way.
    view = "|".join(f"{entry.key} {entry.schedule.makespan:g}" for entry in entries)
    return drawn | {"stamp": f"{next(_STAMPS)}", "view": view}


def show(drawn: dict[str, Any], *, key: str) -> None:
    """Draw a :func:`document`; the operator that is clicked is then :func:`picked`."""
    _component()(key=key, data=drawn, on_picked_change=_nothing)


def _nothing() -> None:
    """Streamlit keeps only those values of a component that something listens to."""


def picked(key: str, entries: list[Entry]) -> tuple[Entry, int] | None:
    """The operator that was clicked last, if it is one of these schedules'."""
    chosen = (st.session_state.get(key) or {}).get("picked")
    if not chosen:
        return None
    name, operator = str(chosen[0]), int(chosen[1])
    for entry in entries:
        if entry.key == name and 0 <= operator < entry.problem.graph.n_operators:
            return entry, operator
    return None
