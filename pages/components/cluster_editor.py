"""The cluster of the chosen problem as tables, and presets of real machines and links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.components.links_editor import edited_links, matrix
from pages.components.session_settings import forget
from planner_core.formats.native import cluster_document
from planner_core.problem import Cluster, InputError, PlannerError, Problem, build_cluster
from planner_core.problem.clusters import mixed, ring, two_level
from planner_core.problem.hardware import DEVICE_TYPES, GB, LINK_EFFICIENCY, LINK_TYPES
from planner_core.problem.settings import Settings

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
    with st.container(border=True):
        chosen = _preset_fields(problem)
        pressed = st.button("Use these", icon=":material/dns:", help="Replaces devices and links.")
    if not pressed:
        return
    try:
        put(problem, key, chosen.cluster())
    except PlannerError as error:
        st.error(f"{str(error)[:1].upper()}{str(error)[1:]}.", icon=":material/error:")
        return
    start_again()
    st.rerun()


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What the fields of the presets say; ``more`` devices are of the type ``other``."""

    device: str
    count: int
    other: str = "A100"
    more: int = 0
    shape: str = "every pair"
    link: str = "NVLink 4"
    outer: str = "InfiniBand NDR"
    per_node: int = 8
    exclusive: bool = False
    efficiency: float = LINK_EFFICIENCY

    def cluster(self) -> Cluster:
        """Return the cluster; InputError if the numbers do not fit together."""
        links: dict[str, Any] = {"exclusive": self.exclusive, "efficiency": self.efficiency}
        types = [self.device] * self.count + [self.other] * self.more
        if self.shape == "ring":
            if self.more:
                raise InputError("a ring has devices of one type; set the second number to 0")
            return ring(self.count, self.device, self.link, **links)
        if self.shape == "nodes":
            size = self.per_node
            if self.count % size or self.more % size:
                said = f"{self.count} and {self.more}" if self.more else f"{self.count}"
                raise InputError(f"{said} devices do not fill nodes of {size}; change one of them")
            groups = [types[k : k + size] for k in range(0, len(types), size)]
            return two_level(groups, self.link, self.outer, **links)
        return mixed(types, self.link, **links)


def _preset_fields(problem: Problem) -> Preset:
    first = st.columns(4)
    memories = "; ".join(f"{spec.name}: {spec.memory / GB:g} GB" for spec in DEVICE_TYPES.values())
    device = first[0].selectbox(
        "Devices", list(DEVICE_TYPES), index=1, key="preset/device",
        help=f"Type with the memory of its data sheet: {memories}",
    )  # fmt: skip
    count = first[1].number_input(
        "Number", 1, 256, problem.n_devices, key="preset/count", help="Devices of this type."
    )
    more = first[3].number_input(
        "Number of them", 0, 256, 0, key="preset/more", help="Devices of the second type; 0: none."
    )
    other = first[2].selectbox(
        "Second type", list(DEVICE_TYPES), key="preset/other", disabled=not more,
        help="For clusters of unlike devices.",
    )  # fmt: skip
    second = st.columns([1.2, 1.2, 1.2, 0.9, 1, 1.2], vertical_alignment="bottom")
    shape = second[0].selectbox(
        "Joined", SHAPES, key="preset/shape",
        help="Every pair by one kind of link; nodes with another kind between them; or a ring.",
    )  # fmt: skip
    link = second[1].selectbox(
        "Link", list(LINK_TYPES), index=1, key="preset/link",
        help="Bandwidth in one direction; latency with software.",
    )  # fmt: skip
    outer = second[2].selectbox(
        "Between nodes", list(LINK_TYPES), index=5, key="preset/outer", disabled=shape != "nodes",
        help="Link between devices of different nodes.",
    )  # fmt: skip
    per_node = second[3].number_input(
        "Per node", 1, 64, min(8, problem.n_devices), key="preset/per_node",
        disabled=shape != "nodes", help="Devices in a node.",
    )  # fmt: skip
    efficiency = second[4].number_input(
        "Link efficiency", 0.01, 1.0, LINK_EFFICIENCY, format="%g", key="preset/efficiency",
        help="Share of the links' peak bandwidth that large transfers reach.",
    )  # fmt: skip
    exclusive = second[5].toggle(
        "One transfer at a time", key="preset/exclusive",
        help="Transfers on a link exclude each other.",
    )  # fmt: skip
    return Preset(
        device=device, count=int(count), other=other, more=int(more), shape=shape, link=link,
        outer=outer, per_node=int(per_node), exclusive=exclusive,
        efficiency=efficiency,
    )  # fmt: skip


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
        placeholder="–",
    )
    try:
        rows = device_rows(devices)
        links = edited_links(problem, base, [row["id"] for row in rows], f"{key}/{revision}")
        transfers = _transfers(base, f"{key}/{revision}")
        put(problem, key, build_cluster(rows, links, transfers))
    except PlannerError as error:
        st.error(
            f"{str(error)[:1].upper()}{str(error)[1:]}. The last sound cluster stays in force.",
            icon=":material/error:",
        )
    matrix(problem, cluster_of(problem, key))


def _transfers(base: Cluster, place: str) -> str:
    staged = st.toggle(
        "Staged transfers",
        value=base.staged,
        key=f"staged/{place}",
        help="Tensors travel through host memory: a transfer keeps the compute streams of both "
        "ends busy. Off: transfers overlap with computation.",
    )
    return "staged" if staged else "overlapped"


def start_again() -> None:
    """Let the tables show the cluster in force and forget unfinished edits."""
    st.session_state["cluster revision"] = st.session_state.get("cluster revision", 0) + 1


def as_in_the_problem(key: str) -> None:
    """Forget what was set for the cluster of a problem."""
    forget(key, "cluster", "memory")
    start_again()


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
