"""The editor on a page: canvas, settings and tables around one drawing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import streamlit as st

from pages.components.download import download
from pages.components.editor.drawing import Drawing
from pages.components.editor.edits import TABLES, Document, Edit, table
from pages.components.editor.tables import COLUMNS, MOST_ROWS, column_settings, frame
from pages.components.editor.taking import (
    CANVAS,
    draw_empty,
    drawing_of,
    table_key,
    take,
    take_canvas,
    take_table,
)
from pages.components.editor.view import MACRO, MOST_SHOWN, grouped_by, visible
from pages.components.merging import chosen_merging, macro_operators
from pages.components.problems import base_problem
from pages.components.setup import ROOT, theme
from planner_core.charts.theme import KIND_COLOURS, KIND_TITLES, ink
from planner_core.formats.json_text import dump_object
from planner_core.problem import KINDS

MOST_BATCHES = 4096
"""Micro-batches the settings offer."""

_TITLES = {
    "operators": "Operators",
    "tensors": "Tensors",
    "parameter_groups": "Parameter groups",
    "devices": "Devices",
    "links": "Links",
}

_LOADER = """
export default function (component) {
  const file = new URL("app/static/editor.js?%s", document.baseURI);
  const loaded = import(file).then((module) => module.show(component));
  return () => loaded.then((leave) => leave());
}
"""


@lru_cache(maxsize=1)
def _component() -> Any:
    """Declare the component; its code is fetched anew only when a file of it has changed."""
    digest = hashlib.sha256()
    for name in ("editor.js", "editor_labels.js", "editor.css"):
        digest.update((ROOT / "static" / name).read_bytes())
    return st.components.v2.component(
        "graph_editor",
        html='<div class="graph-editor"></div>',
        css=(ROOT / "static" / "editor.css").read_text(encoding="utf-8"),
        js=_LOADER % digest.hexdigest()[:12],
        isolate_styles=False,  # the drawing library measures nothing inside a shadow root
    )


def canvas(drawing: Drawing, first: str, macro: dict[str, int] | None) -> None:
    """Draw the graph and take what is done to it."""
    document = drawing.document
    look = theme()
    _component()(
        key=CANVAS,
        data={
            "key": drawing.key,
            "choosing": bool(drawing.left),
            "new": drawing.starts_new,
            "drawing": drawing.number,
            "rev": drawing.rev,
            "applied": drawing.applied,
            "refused": drawing.refused if drawing.refused_in == "canvas" else None,
            "can": {"undo": bool(drawing.past), "redo": bool(drawing.future)},
            **visible(document, drawing.opened, first, macro),
            "total": len(document["operators"]),
            "free": _free(document),
            "devices": [row["id"] for row in table(document, "devices")],
            "units": {"time": document.get("time_unit"), "memory": document.get("memory_unit")},
            "kinds": [
                {"kind": kind, "title": KIND_TITLES[kind], "fill": fill, "ink": ink(fill)}
                for kind in KINDS
                for fill in KIND_COLOURS[kind][:1]
            ],
            "theme": {
                name: getattr(look, name)
                for name in ("name", "paper", "text", "muted", "grid", "idle", "accent", "limit")
            },
        },
        on_edits_change=take_canvas,
        width="stretch",
    )


def _free(document: Document) -> dict[str, int]:
    """Numbers from which on op… and t… are free, for what the canvas adds."""
    return {
        stem: 1
        + max(
            (
                int(row["id"][len(stem) :])
                for row in document[name]
                if row["id"].startswith(stem) and row["id"][len(stem) :].isdecimal()
            ),
            default=-1,
        )
        for name, stem in (("operators", "op"), ("tensors", "t"))
    }


def tables(drawing: Drawing) -> None:
    """Tables of everything; they edit the same graph. Only the open one is drawn."""
    document = drawing.document
    names = [name for name in TABLES if name != "links"]
    titles = [_TITLES[name] for name in names]
    tabs = st.tabs(titles, key="draw/tab", on_change="rerun")
    for tab, name in zip(tabs, names, strict=True):
        if not tab.open:
            continue
        with tab:
            _table(drawing, name)
            if name == "devices":
                _links(drawing, document)


def _table(drawing: Drawing, name: str) -> None:
    document = drawing.document
    if drawing.refused and drawing.refused_in == name:
        st.error(drawing.refused, icon=":material/error:")
    base = drawing.base(name)
    shown = frame(base, name)
    widget = table_key(drawing, name)
    units = (document.get("time_unit", "ms"), document.get("memory_unit", "MiB"))
    whole = len(table(base, name)) <= MOST_ROWS
    st.data_editor(
        shown,
        key=widget,
        hide_index=True,
        num_rows="dynamic" if whole else "fixed",
        width="stretch",
        height=300 if len(shown) > 6 else "content",
        column_config={
            key: value
            for key, value in column_settings(document, name, units).items()
            if key in COLUMNS[name] or key.startswith("duration ")
        },
        on_change=take_table,
        args=(name, widget),
    )
    if not whole:
        st.caption(f"The first {MOST_ROWS:,} rows. Larger graphs are edited in their file.")


def _links(drawing: Drawing, document: Document) -> None:
    """One link between every pair, or a table of them."""
    given = document["cluster"].get("links", {"default": {}})
    alike = isinstance(given, dict)
    ids = [row["id"] for row in table(document, "devices")]
    state = (drawing.number, drawing.rev)
    link = given["default"] if isinstance(given, dict) else (given[0] if given else {})
    link = {k: v for k, v in link.items() if k in ("latency", "bandwidth", "exclusive")}
    every = [{"source": a, "target": b, **link} for a in ids for b in ids if a != b]
    widget = f"draw/alike/{state}"
    st.toggle(
        "The same link between every pair of devices",
        alike,
        key=widget,
        help="Off: latency and bandwidth of every pair are in a table.",
        on_change=take,
        args=(widget, alike, lambda on: _links_edit({"default": link} if on else every)),
    )
    if not alike:
        _table(drawing, "links")
        return
    time, memory = document.get("time_unit", "ms"), document.get("memory_unit", "MiB")
    first, second, third = st.columns(3, vertical_alignment="bottom")

    def changed(field: str) -> Callable[[Any], Edit]:
        return lambda value: _links_edit(
            {"default": {k: v for k, v in (link | {field: value}).items() if v is not None}}
        )

    for column, field, label in (
        (first, "latency", f"Latency ({time})"),
        (second, "bandwidth", f"Bandwidth ({memory}/{time})"),
    ):
        widget = f"draw/{field}/{state}"
        shown = link.get(field, 0.0 if field == "latency" else None)
        column.number_input(
            label,
            value=shown,
            placeholder="infinite",
            format="%g",
            key=widget,
            help="Of the link between every pair of devices.",
            on_change=take,
            args=(widget, shown, changed(field)),
        )
    widget = f"draw/exclusive/{state}"
    exclusive = link.get("exclusive", False)
    third.checkbox(
        "One transfer at a time",
        exclusive,
        key=widget,
        help="Transfers on a link exclude each other; the plan then says when each runs.",
        on_change=take,
        args=(widget, exclusive, changed("exclusive")),
    )


def _links_edit(links: Any) -> Edit:
    return {"do": "links", "links": links}


def _settings_edit(field: str) -> Callable[[Any], Edit]:
    return lambda value: {"do": "settings", "fields": {field: value}}


def settings(drawing: Drawing) -> str:
    """Name, micro-batches, grouping, download; return what groups are made by."""
    document = drawing.document
    start, name, batches, group, save = st.columns(
        [1.3, 3, 1.6, 1.8, 1.7], vertical_alignment="bottom"
    )
    start.button("New graph", icon=":material/add:", on_click=draw_empty, width="stretch")
    state = (drawing.number, drawing.rev)
    widget, shown = f"draw/name/{state}", document["name"]
    name.text_input(
        "Name", shown, key=widget, max_chars=200, help="What the problem is called in lists.",
        on_change=take, args=(widget, shown, _settings_edit("name")),
    )  # fmt: skip
    widget = f"draw/batches/{state}"
    unrolled = any("micro_batch" in row for row in document["operators"])
    count = document.get("micro_batches", 1)
    batches.number_input(
        "Micro-batches", 1, MOST_BATCHES, count, key=widget, disabled=unrolled,
        on_change=take, args=(widget, count, _settings_edit("micro_batches")),
        help="This graph lists the operators of every micro-batch itself." if unrolled else
        "The graph is a template: it is repeated for every micro-batch.",
    )  # fmt: skip
    offered = grouped_by(document)
    if st.session_state.get("draw/group") not in offered:
        st.session_state["draw/group"] = offered[0]
    first = group.selectbox(
        "Group by", offered, key="draw/group",
        help=f"Draws groups in place of operators, always above {MOST_SHOWN}. Double-click one to "
        "open or close it. *merging*: the macro-operators that the planner would plan as one.",
    )  # fmt: skip
    download(
        "Problem (JSON)",
        lambda: dump_object(document),
        f"{_file_name(document['name'])}.json",
        save,
        width="stretch",
        disabled=not document["operators"],
        help="The problem as a file; upload it here or give it to the command line.",
    )
    return first


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name) or "problem"


def draw_editor(key: str) -> None:
    """Let a user draw and edit the chosen problem.

    Parameters
    ----------
    key : str
        Key of the chosen problem. A sample, an upload or a generated problem stays as it is:
        the first edit makes a copy and chooses it.
    """
    drawing = drawing_of(key)
    first = settings(drawing)
    if drawing.refused and drawing.refused_in == "settings":
        st.error(drawing.refused, icon=":material/error:")
    macro = None
    if first == MACRO and drawing.document["operators"]:
        macro = macro_operators(drawing.problem or base_problem(key), key)
    drawing.group((first, *chosen_merging(key)) if macro else (first,))
    canvas(drawing, first, macro)
    tables(drawing)
