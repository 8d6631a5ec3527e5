"""The cluster of the chosen problem as tables, and presets of real machines and links."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.components.session_settings import forget
from planner_core.formats.native import cluster_document
from planner_core.problem import Cluster, InputError, PlannerError, Problem, build_cluster
from planner_core.problem.clusters import homogeneous, nodes, ring
from planner_core.problem.hardware import DEVICE_TYPES, GB, LINK_TYPES
from planner_core.problem.settings import Settings

MOST_LINK_ROWS = 2000
"""Links that are edited as a table; more are edited as one for every pair."""

SHAPES = ("every pair", "nodes", "ring")
"""How preset devices are joined."""


def cluster_of(problem: Problem, key: str) -> Cluster:
    """Return the cluster in force: the one set here, or the problem's."""
    return st.session_state.get(f"cluster/{key}", problem.cluster)


def presets(problem: Problem, key: str) -> None:
    """Draw the form that replaces the cluster by real machines."""
    if (problem.time_unit, problem.memory_unit) != ("ms", "MiB"):
        st.info(
            f"Presets count in ms and MiB; this problem counts in {problem.time_unit} and "
            f"{problem.memory_unit}, so set its devices and links in the tables.",
            icon=":material/info:",
        )
        return
    with st.form("cluster preset"):
        first = st.columns(6)
        device = first[0].selectbox(
            "Devices", list(DEVICE_TYPES), index=1, key="preset/device",
            help="Type with the memory of its data sheet: "
            + "; ".join(f"{spec.name}: {spec.memory / GB:g} GB" for spec in DEVICE_TYPES.values()),
        )  # fmt: skip
        count = first[1].number_input(
            "Number", 1, 256, problem.n_devices, key="preset/count", help="Devices in all."
        )
        shape = first[2].selectbox(
            "Joined", SHAPES, key="preset/shape",
            help="Every pair by one kind of link; nodes with another kind between them; or a ring.",
        )  # fmt: skip
        link = first[3].selectbox(
            "Link", list(LINK_TYPES), index=1, key="preset/link",
            help="Bandwidth in one direction, 80 % of the peak; latency with software.",
        )  # fmt: skip
        outer = first[4].selectbox(
            "Between nodes", list(LINK_TYPES), index=5, key="preset/outer",
            help="Only for nodes.",
        )  # fmt: skip
        per_node = first[5].number_input(
            "Per node", 1, 64, min(8, problem.n_devices), key="preset/per_node",
            help="Devices in a node; only for nodes.",
        )  # fmt: skip
        if not st.form_submit_button("Use these", icon=":material/dns:"):
            return
    try:
        put(problem, key, preset(device, int(count), shape, link, outer, int(per_node)))
    except PlannerError as error:
        st.error(f"{error}.", icon=":material/error:")
        return
    start_again()
    st.rerun()


def preset(device: str, count: int, shape: str, link: str, outer: str, per_node: int) -> Cluster:
    """Return the cluster a preset describes; InputError if its numbers do not fit together."""
    if shape == "ring":
        return ring(count, device, link)
    if shape == "nodes":
        if count % per_node:
            raise InputError(
                f"{count} devices do not fill nodes of {per_node}; change one of the two"
            )
        return nodes(count // per_node, per_node, device, link, outer)
    return homogeneous(count, device, link)


def put(problem: Problem, key: str, cluster: Cluster) -> None:
    """Set the cluster of a problem; InputError if the problem cannot run on it."""
    Settings(cluster=cluster).apply(problem)
    state = st.session_state
    if cluster_document(cluster) == cluster_document(cluster_of(problem, key)):
        return
    forget(key, "memory")  # the limit above the plan follows the cluster
    if cluster_document(cluster) == cluster_document(problem.cluster):
        state.pop(f"cluster/{key}", None)
    else:
        state[f"cluster/{key}"] = cluster


def tables(problem: Problem, key: str) -> None:
    """Draw devices and links as tables that change the cluster; a bad edit says why."""
    revision = st.session_state.get("cluster revision", 0)
    base = _shown_at_first(problem, key, revision)
    st.markdown("**Devices**")
    devices = st.data_editor(
        device_frame(base),
        key=f"edited devices/{key}/{revision}",
        num_rows="dynamic",
        hide_index=True,
        column_config=_device_columns(problem),
    )
    st.markdown("**Links**")
    like = len(_link_documents(base)) == 1 or base.n_devices < 2
    modes = ("one for every pair", "a table")
    small = base.n_devices * (base.n_devices - 1) <= MOST_LINK_ROWS
    mode = st.segmented_control(
        "Links are",
        modes if small else modes[:1],
        default=modes[0] if like or not small else modes[1],
        required=True,
        key=f"link mode/{key}/{revision}",
        label_visibility="collapsed",
    )
    links: Any
    if mode == modes[0]:
        links = _one_link(problem, base, key, revision)
    else:
        edited = st.data_editor(
            link_frame(base),
            key=f"edited links/{key}/{revision}",
            num_rows="dynamic",
            hide_index=True,
            height=320,
            column_config=_link_columns(problem),
        )
        links = _link_rows(edited)
    staged = st.toggle(
        "Staged transfers",
        value=base.staged,
        key=f"staged/{key}/{revision}",
        help="Tensors travel through host memory: a transfer keeps the compute streams of both "
        "ends busy. Off: transfers overlap with computation.",
    )
    try:
        put(
            problem,
            key,
            build_cluster(device_rows(devices), links, "staged" if staged else "overlapped"),
        )
    except PlannerError as error:
        st.error(
            f"{str(error)[:1].upper()}{str(error)[1:]}. The last sound cluster stays in force.",
            icon=":material/error:",
        )


def start_again() -> None:
    """Let the tables show the cluster in force and forget unfinished edits."""
    st.session_state["cluster revision"] = st.session_state.get("cluster revision", 0) + 1


def device_frame(cluster: Cluster) -> pd.DataFrame:
    """Return the devices as a table; unlimited memory is empty."""
    return pd.DataFrame(
        {
            "id": list(cluster.device_ids),
            "type": pd.Series(list(cluster.device_types), dtype="object"),
            "memory": np.where(np.isfinite(cluster.memory), cluster.memory, np.nan),
            "speed": cluster.speed,
            "host": cluster.host,
        }
    )


def device_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the records of a table of devices; InputError names what is missing."""
    rows = []
    for number, row in enumerate(frame.to_dict("records"), start=1):
        name = row["id"]
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"device number {number} has no id; give it one")
        record: dict[str, Any] = {"id": name.strip(), "host": row["host"] is True}
        if isinstance(row["type"], str) and row["type"].strip():
            record["type"] = row["type"].strip()
        record |= {k: float(row[k]) for k in ("memory", "speed") if pd.notna(row[k])}
        rows.append(record)
    return rows


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


def _link_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = []
    for number, row in enumerate(frame.to_dict("records"), start=1):
        if not (isinstance(row["source"], str) and isinstance(row["target"], str)):
            raise InputError(f"link number {number} has no source or no target; give both")
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


def _link_documents(cluster: Cluster) -> list[Any]:
    links = cluster_document(cluster).get("links", {"default": {}})
    return [links] if isinstance(links, dict) else links


def _one_link(problem: Problem, base: Cluster, key: str, revision: int) -> dict[str, Any]:
    """Draw latency, bandwidth and exclusiveness of the link of every pair."""
    first = link_frame(base).iloc[:1]
    known = first.iloc[0] if len(first) else None
    columns = st.columns([1, 1, 1, 1], vertical_alignment="bottom")
    latency = columns[0].number_input(
        f"Latency ({problem.time_unit})",
        min_value=0.0,
        value=0.0 if known is None else float(known["latency"]),
        format="%g",
        key=f"latency/{key}/{revision}",
        help="Time of a transfer whatever its size.",
    )
    bandwidth = columns[1].number_input(
        f"Bandwidth ({problem.memory_unit} per {problem.time_unit})",
        min_value=0.0,
        value=None if known is None or pd.isna(known["bandwidth"]) else float(known["bandwidth"]),
        placeholder="infinite",
        format="%g",
        key=f"bandwidth/{key}/{revision}",
        help="A tensor takes latency + size / bandwidth.",
    )
    exclusive = columns[2].toggle(
        "One transfer at a time",
        value=bool(known is not None and known["exclusive"]),
        key=f"exclusive/{key}/{revision}",
        help="Transfers on a link exclude each other; the plan then says when each runs.",
    )
    return {
        "default": {"latency": latency or 0.0, "bandwidth": bandwidth or None,
                    "exclusive": exclusive}
    }  # fmt: skip


def _shown_at_first(problem: Problem, key: str, revision: int) -> Cluster:
    """The cluster the tables began with: editors keep their edits relative to it."""
    state = st.session_state
    if f"edited devices/{key}/{revision}" not in state:
        state["cluster at first"] = cluster_of(problem, key)
    return state["cluster at first"]


def _device_columns(problem: Problem) -> dict[str, Any]:
    config = st.column_config
    return {
        "id": config.TextColumn("id", required=True, help="Operators name their devices by it."),
        "type": config.TextColumn("type", help="Durations may be given per type."),
        "memory": config.NumberColumn(
            f"memory ({problem.memory_unit})", min_value=0.0, help="Limit; empty = unlimited."
        ),
        "speed": config.NumberColumn(
            "speed (×)", min_value=0.0, default=1.0, help="Durations are divided by it."
        ),
        "host": config.CheckboxColumn(
            "host", default=False, help="Pays nothing for staged transfers."
        ),
    }


def _link_columns(problem: Problem) -> dict[str, Any]:
    config = st.column_config
    return {
        "source": config.TextColumn("source", required=True),
        "target": config.TextColumn("target", required=True),
        "latency": config.NumberColumn(f"latency ({problem.time_unit})", min_value=0.0),
        "bandwidth": config.NumberColumn(
            f"bandwidth ({problem.memory_unit} per {problem.time_unit})",
            min_value=0.0,
            help="Empty = infinite.",
        ),
        "exclusive": config.CheckboxColumn("one at a time", default=False),
    }
