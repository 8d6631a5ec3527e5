"""Schedules as Chrome traces, which Perfetto and chrome://tracing draw.

The Trace Event Format: a device is a process, each of its streams a thread, an operator a
complete event, a transfer between devices an asynchronous span with an arrow from its producer
to each consumer, memory in use a counter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from planner_core.problem import KINDS, Problem
from planner_core.schedule import Schedule, memory_profiles

MICROSECONDS: dict[str, float] = {"s": 1e6, "ms": 1e3, "µs": 1.0, "us": 1.0, "ns": 1e-3}
"""Time units a trace can state truly; any other unit is drawn as a millisecond."""

_INSIDE = 1e-3
"""Arrows begin and end this share of a slice inside it: viewers bind them to what encloses them."""


def chrome_trace(problem: Problem, schedule: Schedule) -> str:
    """Return a schedule as the text of a trace file.

    Parameters
    ----------
    problem : Problem
    schedule : Schedule
        Of ``problem.graph``.

    Returns
    -------
    str
        One JSON object; times in microseconds, as the format wants them.
    """
    scale = MICROSECONDS.get(problem.time_unit, 1e3)
    events = [
        *_names(problem),
        *_operators(problem, schedule, scale),
        *_transfers(problem, schedule, scale),
        *_memory(problem, schedule, scale),
    ]
    head = {
        "displayTimeUnit": "ms",
        "otherData": {
            "problem": problem.name,
            "time unit": problem.time_unit,
            "memory unit": problem.memory_unit,
        },
    }
    rows = ",\n".join(json.dumps(event, ensure_ascii=False) for event in events)
    return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "traceEvents": [\n{rows}\n]}}\n'


def _names(problem: Problem) -> Iterator[dict[str, Any]]:
    for k, name in enumerate(problem.cluster.device_ids):
        yield _meta("process_name", k, {"name": name})
        yield _meta("process_sort_index", k, {"sort_index": k})
        for s, stream in enumerate(problem.graph.stream_names):
            yield _meta("thread_name", k, {"name": stream}, s)


def _meta(what: str, device: int, value: dict[str, Any], thread: int = 0) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": device, "tid": thread, "args": value}


def _operators(problem: Problem, schedule: Schedule, scale: float) -> Iterator[dict[str, Any]]:
    graph = problem.graph
    for o in np.argsort(schedule.start, kind="stable").tolist():
        facts = {}
        if graph.stage[o] >= 0:
            facts["stage"] = int(graph.stage[o])
        if graph.micro_batch[o] >= 0:
            facts["micro-batch"] = int(graph.micro_batch[o])
        yield {
            "ph": "X",
            "name": str(graph.operator_ids[o]),
            "cat": KINDS[graph.kind[o]],
            "pid": int(schedule.device[o]),
            "tid": int(graph.stream[o]),
            "ts": scale * float(schedule.start[o]),
            "dur": scale * float(schedule.finish[o] - schedule.start[o]),
            "args": facts,
        }


def _transfers(problem: Problem, schedule: Schedule, scale: float) -> Iterator[dict[str, Any]]:
    graph, device = problem.graph, schedule.device
    listed = {
        (int(t), int(k)): (float(begin), float(end))
        for t, k, begin, end in zip(
            schedule.transfers.tensor,
            schedule.transfers.target,
            schedule.transfers.start,
            schedule.transfers.finish,
            strict=True,
        )
    }
    drawn: set[tuple[int, int]] = set()
    source, target = graph.edge_source, graph.edge_target
    for edge in np.flatnonzero(device[source] != device[target]).tolist():
        tensor, a, b = int(graph.edge_tensor[edge]), int(source[edge]), int(target[edge])
        sender, receiver = int(device[a]), int(device[b])
        name = str(graph.tensor_ids[tensor])
        begin = float(schedule.finish[a])
        span = listed.get(
            (tensor, receiver), (begin, begin + problem.transfer_time(tensor, sender, receiver))
        )
        if (tensor, receiver) not in drawn and span[1] > span[0]:
            drawn.add((tensor, receiver))
            title = f"{name} → {problem.cluster.device_ids[receiver]}"
            both = {"name": title, "cat": "transfer", "pid": sender, "tid": 0,
                    "id": f"{tensor}/{receiver}"}  # fmt: skip
            size = {"size": float(graph.size[tensor])}
            yield {"ph": "b", **both, "ts": scale * span[0], "args": size}
            yield {"ph": "e", **both, "ts": scale * span[1]}
        flow = {"name": name, "cat": "tensor", "id": edge}
        taken = (
            float(schedule.finish[a] - schedule.start[a]),
            float(schedule.finish[b] - schedule.start[b]),
        )
        leaves = float(schedule.finish[a]) - _INSIDE * taken[0]
        enters = float(schedule.start[b]) + _INSIDE * taken[1]
        yield {"ph": "s", **flow, "pid": sender, "tid": int(graph.stream[a]), "ts": scale * leaves}
        yield {
            "ph": "f",
            "bp": "e",
            **flow,
            "pid": receiver,
            "tid": int(graph.stream[b]),
            "ts": scale * enters,
        }


def _memory(problem: Problem, schedule: Schedule, scale: float) -> Iterator[dict[str, Any]]:
    label = f"memory ({problem.memory_unit})"
    for k, profile in enumerate(memory_profiles(problem, schedule)):
        for time, used in zip(profile.time.tolist(), profile.used.tolist(), strict=True):
            yield {"ph": "C", "name": label, "pid": k, "ts": scale * time, "args": {"used": used}}
