"""The links of a cluster: one for every pair, nodes, a ring, or a table by hand; and a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from planner_core.charts.numbers import number
from planner_core.formats.native import cluster_document
from planner_core.problem import Cluster, InputError, Problem
from planner_core.problem.clusters import group_links, ring_links

MOST_LINK_ROWS = 2000
"""Links that are edited as a table; more are edited as a pattern."""

MOST_IN_MATRIX = 64
"""Devices up to which the matrix is drawn."""

PAIRS, NODES, RING, TABLE, KEPT = "one for every pair", "nodes", "ring", "a table", "as they are"
"""How links are edited."""

Links = list[dict[str, Any]] | dict[str, Any]


def edited_links(problem: Problem, base: Cluster, devices: Sequence[str], place: str) -> Links:
    """Draw the links; return their records as in the file.

    Parameters
    ----------
    problem : Problem
        Whose units count.
    base : Cluster
        What was there before any edit.
    devices : sequence of str
        Ids of the devices as they are edited now.
    place : str
        Tells the widgets from those of other problems.
    """
    st.markdown("**Links**")
    given = cluster_document(base).get("links", {"default": {}})
    alike = isinstance(given, dict) or base.n_devices < 2
    small = base.n_devices * (base.n_devices - 1) <= MOST_LINK_ROWS
    mode = st.segmented_control(
        "Links are",
        (PAIRS, NODES, RING, TABLE if small else KEPT),
        default=PAIRS if alike else TABLE if small else KEPT,
        required=True,
        key=f"link mode/{place}",
        label_visibility="collapsed",
        help="A ring and nodes join the devices in the order of their table.",
    )
    if mode == KEPT:
        st.caption(f"The {len(given):,} links of the problem; too many for a table.")
        return given
    first = _first_link(base)
    if mode == TABLE:
        edited = st.data_editor(
            link_frame(base),
            key=f"edited links/{place}",
            num_rows="dynamic",
            hide_index=True,
            height=320,
            column_config=_link_columns(problem),
        )
        return link_rows(edited)
    if mode == PAIRS:
        return {"default": _link(problem, first, "", f"pair/{place}")}
    if mode == RING:
        link = _link(problem, first, "", f"ring/{place}")
        one_way = st.toggle("One way", key=f"one way/{place}", help="Only to the next device.")
        return ring_links(devices, link, one_way=one_way)
    size = st.number_input(
        "Devices per node",
        1,
        max(1, len(devices)),
        min(8, max(1, len(devices) // 2)),
        key=f"per node/{place}",
        help="The first so many devices are a node, then the next; the last node may be smaller.",
    )
    inner = _link(problem, first, "within a node", f"inner/{place}")
    outer = _link(problem, first, "between nodes", f"outer/{place}")
    return group_links(devices, [k // int(size) for k in range(len(devices))], inner, outer)


def matrix(problem: Problem, cluster: Cluster) -> None:
    """Draw who is joined to whom, and how."""
    if not 2 <= cluster.n_devices <= MOST_IN_MATRIX:
        return
    with st.expander("The links as a matrix", icon=":material/grid_on:"):
        st.dataframe(matrix_frame(cluster))
        st.caption(
            f"From row to column: bandwidth in {problem.memory_unit} per {problem.time_unit}, "
            f"after + the latency in {problem.time_unit}. ×: no link. "
            "1×: one transfer at a time."
        )


def matrix_frame(cluster: Cluster) -> pd.DataFrame:
    """Return the links as a square table of short texts."""
    ids = list(cluster.device_ids)
    return pd.DataFrame(
        [[_cell(cluster, a, b) for b in range(len(ids))] for a in range(len(ids))],
        index=ids,
        columns=ids,
    )


def _cell(cluster: Cluster, a: int, b: int) -> str:
    if a == b:
        return ""
    if not cluster.has_link[a, b]:
        return "×"
    bandwidth, latency = float(cluster.bandwidth[a, b]), float(cluster.latency[a, b])
    text = number(bandwidth) if np.isfinite(bandwidth) else "∞"
    text += f" + {number(latency)}" if latency else ""
    return f"{text}, 1×" if cluster.exclusive[a, b] else text


def link_frame(cluster: Cluster) -> pd.DataFrame:
    """Return the links as a table; infinite bandwidth is empty."""
    pairs = np.argwhere(cluster.has_link & ~np.eye(cluster.n_devices, dtype=bool))
    a, b = pairs[:, 0], pairs[:, 1]
    bandwidth = cluster.bandwidth[a, b]
    return pd.DataFrame(
        {
            "source": [cluster.device_ids[k] for k in a],
            "target": [cluster.device_ids[k] for k in b],
            "latency": cluster.latency[a, b],
            "bandwidth": np.where(np.isfinite(bandwidth), bandwidth, np.nan),
            "exclusive": cluster.exclusive[a, b],
        }
    )


def link_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the records of a table of links; InputError names what is missing."""
    rows = []
    for place, row in enumerate(frame.to_dict("records"), start=1):
        if not (isinstance(row["source"], str) and isinstance(row["target"], str)):
            raise InputError(f"link number {place} has no source or no target; give both")
        rows.append(
            {
                "source": row["source"].strip(),
                "target": row["target"].strip(),
                "latency": float(row["latency"]) if pd.notna(row["latency"]) else 0.0,
                "bandwidth": float(row["bandwidth"]) if pd.notna(row["bandwidth"]) else None,
                "exclusive": row["exclusive"] is True,
            }
        )
    return rows


def _first_link(base: Cluster) -> dict[str, Any]:
    """The link that the fields begin with."""
    rows = link_rows(link_frame(base).iloc[:1])
    return rows[0] if rows else {"latency": 0.0, "bandwidth": None, "exclusive": False}


def _link(problem: Problem, first: dict[str, Any], where: str, place: str) -> dict[str, Any]:
    """Draw latency, bandwidth and exclusiveness of one kind of link; return its record."""
    said = f" {where}" if where else ""
    columns = st.columns([1.2, 1.2, 1], vertical_alignment="bottom")
    latency = columns[0].number_input(
        f"Latency{said} ({problem.time_unit})",
        min_value=0.0,
        value=first["latency"],
        format="%g",
        key=f"latency/{place}",
        help="Time of a transfer whatever its size.",
    )
    bandwidth = columns[1].number_input(
        f"Bandwidth{said} ({problem.memory_unit} per {problem.time_unit})",
        min_value=0.0,
        value=first["bandwidth"],
        placeholder="infinite",
        format="%g",
        key=f"bandwidth/{place}",
        help="A tensor takes latency + size / bandwidth. Empty: infinite.",
    )
    exclusive = columns[2].toggle(
        "One transfer at a time",
        value=first["exclusive"],
        key=f"exclusive/{place}",
        help="Transfers on a link exclude each other; the plan then says when each runs.",
    )
    return {"latency": latency or 0.0, "bandwidth": bandwidth or None, "exclusive": exclusive}


def _link_columns(problem: Problem) -> dict[str, Any]:
    config = st.column_config
    return {
        "source": config.TextColumn("source", required=True, help="The device that sends."),
        "target": config.TextColumn("target", required=True, help="The device that receives."),
        "latency": config.NumberColumn(
            f"latency ({problem.time_unit})", min_value=0.0, help="Whatever the tensor's size."
        ),
        "bandwidth": config.NumberColumn(
            f"bandwidth ({problem.memory_unit} per {problem.time_unit})",
            min_value=0.0,
            help="Empty = infinite.",
        ),
        "exclusive": config.CheckboxColumn(
            "one at a time", default=False, help="Transfers on this link exclude each other."
        ),
    }
