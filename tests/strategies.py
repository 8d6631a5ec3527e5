"""Random problems, devices, orders and schedules for property tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from planner_core.problem import Problem, build_cluster, build_graph, check_problem
from planner_core.schedule import Schedule, simulate

TIMES = st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.0, 2.0, 2.5, 3.0, 7.25])
SIZES = st.sampled_from([0.0, 0.3, 1.0, 1.0, 2.0, 4.5])
TYPES = ("H100", "A100")


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    max_operators: int = 8,
    max_devices: int = 3,
    placed: bool | None = None,
    linked: bool = True,
    staged: bool | None = None,
    limited: bool | None = None,
    exclusive: bool | None = None,
    micro_batches: bool = True,
    colocation: bool = True,
    streams: bool = True,
) -> Problem:
    """Return a sound problem.

    Parameters
    ----------
    max_operators, max_devices : int
    placed : bool, optional
        Every operator has one device (True), none is restricted (False), or a mixture (None).
    linked : bool
        Every pair of devices has a link, so every placement can be scheduled; else some pairs
        may have none.
    staged, limited, exclusive : bool, optional
        Staged transfers; memory limits; exclusive links. None = either.
    micro_batches, colocation, streams : bool
        Whether these may occur.
    """
    n_devices = draw(st.integers(1, max_devices))
    devices = [
        {
            "id": f"d{k}",
            "type": draw(st.sampled_from(TYPES)),
            "speed": draw(st.sampled_from([1.0, 1.0, 0.5, 2.0])),
            "memory": draw(st.sampled_from([6.0, 12.0, 25.0])) if _either(draw, limited) else None,
            "host": draw(st.booleans()) and staged is not False,
        }
        for k in range(n_devices)
    ]
    n = draw(st.integers(1, max_operators))
    n_groups = draw(st.integers(0, 2))
    colocate = draw(st.booleans()) and colocation
    operators = [_operator(draw, i, n_devices, placed, n_groups, streams) for i in range(n)]
    if colocate:
        anywhere = [row for row in operators if "devices" not in row]
        for row in anywhere[:2]:
            row["colocate"] = "together"
    batches = draw(st.sampled_from([1, 1, 2, 3])) if micro_batches else 1
    problem = Problem(
        template=build_graph(
            operators,
            _tensors(draw, n),
            [{"id": f"w{g}", "size": draw(SIZES)} for g in range(n_groups)],
        ),
        cluster=build_cluster(
            devices,
            _links(draw, n_devices, linked, exclusive),
            "staged" if _either(draw, staged) else "overlapped",
        ),
        micro_batches=batches,
        name=draw(st.sampled_from(["random", "größer ✓"])),
    )
    check_problem(problem)
    return problem


@st.composite
def whole_problems(draw: st.DrawFn, **kinds: object) -> Problem:
    """Return a problem of which every duration, transfer time and size is a whole number.

    Parameters
    ----------
    kinds
        As for :func:`problems`; micro-batches are left out.
    """
    problem = draw(problems(micro_batches=False, **kinds))  # type: ignore[arg-type]
    graph, cluster = problem.template, problem.cluster
    whole = replace(
        graph,
        duration=np.minimum(np.ceil(graph.duration), 3.0),
        duration_by_type=np.minimum(np.ceil(graph.duration_by_type), 3.0),
        transfer=np.minimum(np.ceil(graph.transfer), 2.0),
        size=np.ceil(graph.size),
        workspace=np.ceil(graph.workspace),
        group_size=np.ceil(graph.group_size),
    )
    times = replace(
        cluster,
        speed=np.ones(problem.n_devices),
        latency=np.ceil(cluster.latency),
        bandwidth=np.where(cluster.bandwidth <= 4.0, 1.0, np.inf),
    )
    return replace(problem, template=whole, cluster=times)


@st.composite
def placements(draw: st.DrawFn, problem: Problem) -> np.ndarray:
    """Return an allowed device for every operator, colocation kept; int32, shape (n,)."""
    graph = problem.graph
    allowed = np.isfinite(problem.durations)
    device = np.empty(graph.n_operators, dtype=np.int32)
    chosen: dict[int, int] = {}
    for o in range(graph.n_operators):
        group = int(graph.colocation[o])
        if group >= 0 and group in chosen:
            device[o] = chosen[group]
            continue
        members = graph.colocation == group if group >= 0 else np.arange(len(device)) == o
        options = np.flatnonzero(allowed[members].all(axis=0)).tolist()
        device[o] = draw(st.sampled_from(options))
        if group >= 0:
            chosen[group] = int(device[o])
    return device


@st.composite
def orders(draw: st.DrawFn, problem: Problem, device: np.ndarray) -> list[list[int]]:
    """Return the operators of every device in an order that can be run."""
    graph = problem.graph
    priority = draw(st.permutations(range(graph.n_operators)))
    waiting = np.bincount(graph.edge_target, minlength=graph.n_operators)
    ptr, edges = graph.out_edges
    ready = [o for o in range(graph.n_operators) if not waiting[o]]
    rows: list[list[int]] = [[] for _ in range(problem.n_devices)]
    while ready:
        o = min(ready, key=lambda i: priority[i])
        ready.remove(o)
        rows[device[o]].append(o)
        for target in graph.edge_target[edges[ptr[o] : ptr[o + 1]]].tolist():
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return rows


@st.composite
def scheduled(draw: st.DrawFn, **kinds: object) -> tuple[Problem, Schedule]:
    """Return a random problem and a schedule that keeps every rule but perhaps memory."""
    problem = draw(problems(**kinds))  # type: ignore[arg-type]
    device = draw(placements(problem))
    return problem, simulate(problem, device, draw(orders(problem, device)))


def _either(draw: st.DrawFn, choice: bool | None) -> bool:
    return draw(st.booleans()) if choice is None else choice


def _operator(
    draw: st.DrawFn, i: int, n_devices: int, placed: bool | None, n_groups: int, streams: bool
) -> dict:
    row: dict = {"id": f"o{i}", "kind": draw(st.sampled_from(["forward", "other", "all_reduce"]))}
    row["duration"] = (
        {name: draw(TIMES) for name in TYPES} if draw(st.integers(0, 3)) == 0 else draw(TIMES)
    )
    if _either(draw, placed):
        row["devices"] = [f"d{draw(st.integers(0, n_devices - 1))}"]
    elif placed is None and draw(st.integers(0, 3)) == 0:
        several = st.lists(st.integers(0, n_devices - 1), min_size=1, unique=True)
        row["devices"] = [f"d{k}" for k in sorted(draw(several))]
    if streams and draw(st.integers(0, 4)) == 0:
        row["stream"] = "network"
    if draw(st.integers(0, 3)) == 0:
        row["workspace"] = draw(SIZES)
    if n_groups and draw(st.booleans()):
        row["parameters"] = [f"w{draw(st.integers(0, n_groups - 1))}"]
    if draw(st.booleans()):
        row["stage"] = draw(st.integers(0, 3))
    return row


def _tensors(draw: st.DrawFn, n: int) -> list[dict]:
    rows: list[dict] = []
    for producer in range(n):
        for copy in range(draw(st.sampled_from([0, 1, 1, 2]))):
            later = st.lists(st.integers(producer + 1, n - 1), max_size=3, unique=True)
            consumers = draw(later) if producer < n - 1 else []
            row = {
                "id": f"t{producer}.{copy}",
                "producer": f"o{producer}",
                "consumers": [f"o{c}" for c in consumers],
                "size": draw(SIZES),
            }
            if draw(st.integers(0, 4)) == 0:
                row["transfer"] = draw(TIMES)
            if draw(st.integers(0, 5)) == 0:
                row["output"] = True
            rows.append(row)
    return rows


def _links(
    draw: st.DrawFn, n_devices: int, linked: bool, exclusive: bool | None
) -> list[dict] | dict | None:
    def link() -> dict:
        return {
            "latency": draw(st.sampled_from([0.0, 0.1, 1.0])),
            "bandwidth": draw(st.sampled_from([None, 1.0, 4.0])),
            "exclusive": _either(draw, exclusive),
        }

    if draw(st.integers(0, 3)) == 0 and exclusive is None:
        return None
    if draw(st.booleans()):
        return {"default": link()}
    return [
        {"source": f"d{a}", "target": f"d{b}", **link()}
        for a in range(n_devices)
        for b in range(n_devices)
        if a != b and (linked or draw(st.booleans()))
    ]
