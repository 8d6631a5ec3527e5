"""What the dashboard's timeline draws: the same picture as a comparison, as plain numbers.

A browser draws thousands of cells on a canvas in the time a figure takes for a hundred, so the
dashboard shows schedules this way; files and lessons use :func:`planner_core.charts.comparison`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from planner_core.charts.cells import labels, shades
from planner_core.charts.comparison import Entry
from planner_core.charts.gantt import faded, groups, row_height
from planner_core.charts.memory import shown_limits, steps
from planner_core.charts.numbers import number
from planner_core.charts.rows import rows
from planner_core.charts.theme import FONT, KIND_TITLES, LIGHT, Theme, ink, scale, shade
from planner_core.problem import KINDS
from planner_core.problem.graph import Graph
from planner_core.schedule import memory_profiles

SECOND = "second direction or chunk"
"""What a lighter shade of a kind stands for."""


def timeline(
    entries: Sequence[Entry],
    theme: Theme = LIGHT,
    *,
    colour_by: str = "kind",
    memory: bool = True,
    highlight: tuple[str, Collection[int]] | None = None,
    picked: int | None = None,
    micro_batch: int | None = None,
    window: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Return schedules under each other as a document of numbers, texts and colours.

    Parameters
    ----------
    entries : sequence of Entry
        From top to bottom; at least one.
    theme : Theme
    colour_by : {"kind", "stage", "micro-batch"}
    memory : bool
        Draw memory in use below every schedule.
    highlight : (key, operators), optional
        Operators of one entry to outline; its others fade.
    picked : int, optional
        The one of them that was asked about.
    micro_batch : int, optional
        Fade all other micro-batches.
    window : (from, until), optional
        Stretch of time to zoom to.

    Returns
    -------
    dict
        For ``static/timeline.js``; can be written as JSON.
    """
    problem = entries[0].problem
    graphs: dict[int, int] = {}
    documents: list[dict[str, Any]] = []
    legend: dict[str, str] = {}
    panels = []
    for entry in entries:
        graph = entry.problem.graph
        if id(graph) not in graphs:
            graphs[id(graph)] = len(documents)
            documents.append(_graph(graph))
        outlined = highlight[1] if highlight and highlight[0] == entry.key else ()
        panel = _cells(entry, theme, colour_by, legend)
        pale = faded(entry.problem, outlined, micro_batch)
        panels.append(
            panel
            | {
                "graph": graphs[id(graph)],
                "outlined": sorted(outlined),
                "picked": picked if picked in outlined else None,
                "pale": None if pale is None else pale.astype(int).tolist(),
                "memory": _memory(entry, theme) if memory else None,
            }
        )
    return {
        "label": spoken(entries),
        "font": FONT,
        "unit": problem.time_unit,
        "memoryUnit": problem.memory_unit,
        "kinds": [KIND_TITLES[kind] for kind in KINDS],
        "colours": {
            name: getattr(theme, name)
            for name in ("paper", "text", "muted", "grid", "idle", "outline", "accent", "limit")
        },
        "legend": list(legend.items()),
        "end": max(entry.schedule.makespan for entry in entries),
        "window": window,
        "rowHeight": [row_height(len(panel["rows"])) for panel in panels],
        "graphs": documents,
        "panels": panels,
    }


def spoken(entries: Sequence[Entry]) -> str:
    """A sentence for those who do not see the chart."""
    parts = [
        f"{entry.title}, makespan {number(entry.schedule.makespan)} {entry.problem.time_unit}"
        + (f" ({entry.note})" if entry.note else "")
        for entry in entries
    ]
    return (
        f"Timeline of {len(parts)} schedules: {'; '.join(parts)}. Arrow keys move between "
        "operators, Enter shows the critical path, Escape clears it, plus, minus and 0 zoom."
    )


def _graph(graph: Graph) -> dict[str, Any]:
    return {
        "ids": [str(name) for name in graph.operator_ids],
        "kind": graph.kind.tolist(),
        "stage": graph.stage.tolist(),
        "batch": graph.micro_batch.tolist(),
        "from": graph.edge_source.tolist(),
        "to": graph.edge_target.tolist(),
    }


def _cells(entry: Entry, theme: Theme, colour_by: str, legend: dict[str, str]) -> dict[str, Any]:
    """Cells of one schedule; titles new to the ``legend`` are added to it."""
    problem, schedule = entry.problem, entry.schedule
    names, row_of = rows(problem, schedule)
    devices = [""] * len(names)
    for row, device in zip(row_of.tolist(), schedule.device.tolist(), strict=True):
        devices[row] = problem.cluster.device_ids[device]
    fill = np.zeros(problem.graph.n_operators, dtype=np.int32)
    palette: list[str] = []
    for title, colour, members in groups(problem, schedule, colour_by, theme):
        fill[members] = len(palette)
        palette.append(colour)
        if title:
            legend.setdefault(title, colour)
    n_shades = shades(problem, schedule)[1]
    if colour_by == "kind" and n_shades > 1:
        legend.setdefault(SECOND, shade("forward", 1, n_shades))
    last = max(1, problem.n_devices - 1)
    place = {name: k for k, name in enumerate(problem.cluster.device_ids)}
    return {
        "key": entry.key,
        "title": entry.title,
        "note": entry.note,
        "makespan": schedule.makespan,
        "rows": names,
        "devices": [
            name if not name.startswith("·") else f"{device}, {name[2:]} stream"
            for name, device in zip(names, devices, strict=True)
        ],
        "rowColours": [
            scale(place[name] / last, theme) if name in place else None for name in names
        ],
        "start": schedule.start.tolist(),
        "length": (schedule.finish - schedule.start).tolist(),
        "row": row_of.tolist(),
        "label": labels(problem),
        "fill": fill.tolist(),
        "palette": palette,
        "inks": [ink(colour) for colour in palette],
        "overlapped": schedule.overlapped.tolist(),
    }


def _memory(entry: Entry, theme: Theme) -> dict[str, Any]:
    profiles = memory_profiles(entry.problem, entry.schedule)
    limits, top = shown_limits(entry.problem, profiles)
    last = max(1, len(profiles) - 1)
    lines = []
    for k, profile in enumerate(profiles):
        time, used = steps(profile, entry.schedule.makespan)
        lines.append(
            {
                "name": entry.problem.cluster.device_ids[k],
                "colour": scale(k / last, theme),
                "time": time.tolist(),
                "used": used.tolist(),
            }
        )
    return {"lines": lines, "limits": limits, "top": top or 1.0}
