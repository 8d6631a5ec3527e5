"""The sample problems: small files, each of which teaches one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from planner_core.problem import (
    Objective,
    Problem,
    build_cluster,
    build_graph,
    check_problem,
)
from planner_core.workloads.job_shop import parse_job_shop
from planner_core.workloads.pipeline import pipeline


@dataclass(frozen=True)
class Sample:
    """A sample problem.

    Parameters
    ----------
    file : str
        File name without ending.
    title : str
        What it is, in a few words.
    teaches : str
        One line on what there is to see.
    make : callable
        Returns the problem.
    """

    file: str
    title: str
    teaches: str
    make: Callable[[], Problem]


DEFAULT_SAMPLE = "bidirectional_8x20"
"""File of the sample the app opens with: DualPipe's own instance."""


def two_stages() -> Problem:
    """Return two stages and four micro-batches, written out as by hand."""
    return _problem(
        "two stages",
        operators=[
            {"id": "F0", "duration": 1, "kind": "forward", "stage": 0, "devices": ["gpu0"]},
            {"id": "F1", "duration": 1, "kind": "forward", "stage": 1, "devices": ["gpu1"]},
            {"id": "B1", "duration": 2, "kind": "backward", "stage": 1, "devices": ["gpu1"]},
            {"id": "B0", "duration": 2, "kind": "backward", "stage": 0, "devices": ["gpu0"]},
        ],
        tensors=[
            {"id": "x0", "producer": "F0", "consumers": ["F1"]},
            {"id": "a0", "producer": "F0", "consumers": ["B0"], "size": 1},
            {"id": "a1", "producer": "F1", "consumers": ["B1"], "size": 1},
            {"id": "g1", "producer": "B1", "consumers": ["B0"]},
        ],
        devices=[{"id": "gpu0", "memory": 2}, {"id": "gpu1", "memory": 2}],
        micro_batches=4,
        memory_unit="activations",
    )


def small_graph() -> Problem:
    """Return ten operators that any of three devices may run."""
    durations = {
        "read": 1,
        "image": 5,
        "text": 4,
        "audio": 3,
        "image2": 4,
        "text2": 5,
        "audio2": 4,
        "align": 2,
        "merge": 3,
        "loss": 1,
    }
    edges = {
        "read": ["image", "text", "audio"],
        "image": ["image2"],
        "text": ["text2", "align"],
        "audio": ["audio2"],
        "image2": ["align"],
        "text2": ["merge"],
        "audio2": ["merge"],
        "align": ["merge"],
        "merge": ["loss"],
    }
    return _problem(
        "small graph",
        operators=[{"id": name, "duration": time} for name, time in durations.items()],
        tensors=[
            {"id": f"{name} out", "producer": name, "consumers": consumers, "size": 2}
            for name, consumers in edges.items()
        ],
        devices=[{"id": f"gpu{k}", "memory": 16} for k in range(3)],
        links={"default": {"latency": 0.5, "bandwidth": 4}},
    )


def exclusive_link() -> Problem:
    """Return a device that feeds two others over links that carry one tensor at a time."""
    operators = [{"id": "split", "duration": 1, "devices": ["gpu0"]}]
    tensors = []
    for i, device in enumerate(["gpu1", "gpu2"] * 3):
        operators.append({"id": f"work{i}", "duration": 2, "devices": [device]})
        tensors.append(
            {"id": f"part{i}", "producer": "split", "consumers": [f"work{i}"], "size": 2 + i % 3}
        )
    link = {"latency": 0.5, "bandwidth": 2, "exclusive": True}
    return _problem(
        "exclusive links",
        operators=operators,
        tensors=tensors,
        devices=[{"id": f"gpu{k}"} for k in range(3)],
        links=[{"source": "gpu0", "target": f"gpu{k}", **link} for k in (1, 2)],
    )


def staged_period() -> Problem:
    """Return a branched chain on two accelerators and a host, for the best throughput."""
    work = {"a": 4, "b": 6, "c": 5, "d": 3, "e": 6, "f": 2}
    edges = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["e"], "e": ["f"]}
    return _problem(
        "staged transfers",
        operators=[
            {"id": name, "duration": {"fpga": time, "cpu": 5 * time}, "workspace": 1}
            for name, time in work.items()
        ],
        tensors=[
            {"id": f"{name} out", "producer": name, "consumers": consumers, "transfer": 1}
            for name, consumers in edges.items()
        ],
        devices=[
            {"id": "fpga0", "type": "fpga", "memory": 8},
            {"id": "fpga1", "type": "fpga", "memory": 8},
            {"id": "cpu0", "type": "cpu", "host": True},
        ],
        transfers="staged",
        objective=Objective(("period",)),
    )


def mixed_cluster() -> Problem:
    """Return a chain of unequal layers, forward and back, on two fast and two slow devices."""
    layers = [3, 5, 4, 6, 4, 2]
    operators: list[dict] = []
    tensors: list[dict] = []
    last = len(layers) - 1
    for i, time in enumerate(layers):
        shared = {"parameters": [f"w{i}"], "colocate": f"layer {i}", "stage": i}
        for letter, kind, factor in (("F", "forward", 1), ("B", "backward", 2)):
            duration = {"H100": time * factor, "A100": 2 * time * factor}
            operators.append({"id": f"{letter}{i}", "duration": duration, "kind": kind, **shared})
        tensors.append({"id": f"a{i}", "producer": f"F{i}", "consumers": [f"B{i}"], "size": 2})
        if i < last:
            ahead = {"id": f"x{i}", "producer": f"F{i}", "consumers": [f"F{i + 1}"], "size": 1}
            back = {"id": f"g{i}", "producer": f"B{i + 1}", "consumers": [f"B{i}"], "size": 1}
            tensors += [ahead, back]
    return _problem(
        "mixed cluster",
        operators=operators,
        tensors=tensors,
        groups=[{"id": f"w{i}", "size": 4} for i in range(len(layers))],
        devices=[
            {"id": f"{kind.lower()}-{k}", "type": kind, "memory": memory}
            for kind, memory in (("H100", 24), ("A100", 16))
            for k in range(2)
        ],
        links={"default": {"latency": 0.1, "bandwidth": 10}},
        micro_batches=4,
    )


FT06 = """
6 6
2 1 0 3 1 6 3 7 5 3 4 6
1 8 2 5 4 10 5 10 0 10 3 4
2 5 3 4 5 8 0 9 1 1 4 7
1 5 0 5 2 5 3 3 4 8 5 9
2 9 1 3 4 5 5 4 0 3 3 1
1 3 3 3 5 9 0 10 4 4 2 1
"""
"""Fisher and Thompson 1963; optimum 55."""

LA01 = """
10 5
1 21 0 53 4 95 3 55 2 34
0 21 3 52 4 16 2 26 1 71
3 39 4 98 1 42 2 31 0 12
1 77 0 55 4 79 2 66 3 77
0 83 3 34 2 64 1 19 4 37
1 54 2 43 4 79 0 92 3 62
3 69 4 77 1 87 2 87 0 93
2 38 0 60 1 41 3 24 4 83
3 17 1 49 4 25 0 44 2 98
4 77 3 79 2 43 1 75 0 96
"""
"""Lawrence 1984; optimum 666."""

SAMPLES: tuple[Sample, ...] = (
    Sample(
        "two_stages",
        "Two stages",
        "The smallest pipeline: four operators, repeated for four micro-batches on two devices.",
        two_stages,
    ),
    Sample(
        "linear_4x8",
        "1F1B's home: 4 stages, 8 micro-batches",
        "1F1B takes 33; splitting the backward into I and W fills its bubbles: 27 and less.",
        lambda: pipeline(4, 8, memory=4),
    ),
    Sample(
        "linear_8x24_profiled",
        "Profiled costs: 8 stages, 24 micro-batches",
        "Costs measured by the Zero Bubble authors (in microseconds), with 1F1B's memory.",
        lambda: pipeline(
            8,
            24,
            forward=18522,
            backward_input=18086,
            backward_weight=9337,
            transfer=601,
            memory=8,
            time_unit="µs",
        ),
    ),
    Sample(
        "interleaved_4x8",
        "Interleaved: 4 devices, 2 chunks each, 8 micro-batches",
        "Two stages per device: smaller steps, so the pipeline fills and drains faster.",
        lambda: pipeline(4, 8, "interleaved", chunks=2, forward=0.5, backward=1.0, memory=12),
    ),
    Sample(
        "v_8x20",
        "V placement: 8 devices, 20 micro-batches",
        "Down the devices and back: with 1F1B's memory (16 chunks) no bubble but the ramp is left.",
        lambda: pipeline(8, 20, "v", memory=16),
    ),
    Sample(
        "v_8x20_half_memory",
        "V placement with half of the memory",
        "10 chunks instead of 16 cost six units of time: memory and makespan trade one for one.",
        lambda: pipeline(8, 20, "v", memory=10, released_by_input=1),
    ),
    Sample(
        "bidirectional_8x20",
        "DualPipe's instance: 8 devices, 20 micro-batches",
        "Two copies of the stages, running towards each other: DualPipe takes 66, the optimum 63.",
        lambda: pipeline(8, 20, "bidirectional", memory=9),
    ),
    Sample(
        "bidirectional_8x20_564",
        "The same with F, I, W = 5, 6, 4",
        "With unequal costs a fixed order loses more: DualPipe takes 336, the lower bound is 315.",
        lambda: pipeline(
            8, 20, "bidirectional", memory=9, forward=5, backward_input=6, backward_weight=4
        ),
    ),
    Sample(
        "bidirectional_8x20_573_transfer",
        "The same with F, I, W = 5, 7, 3 and transfers of 1",
        "DualPipe takes 372. The bound is 326: device 3 waits until 71 and nine activations "
        "fill 45 of the 53 units before.",
        lambda: pipeline(
            8,
            20,
            "bidirectional",
            memory=9,
            forward=5,
            backward_input=7,
            backward_weight=3,
            transfer=1,
        ),
    ),
    Sample(
        "bidirectional_8x20_memory5",
        "DualPipe's instance with five activations",
        "Far less memory than DualPipe's nine, and the optimum is still 66.",
        lambda: pipeline(8, 20, "bidirectional", memory=5, released_by_input=1),
    ),
    Sample(
        "small_graph",
        "A graph that is no chain, on any of three devices",
        "Placement and order are decided together: moving a tensor costs time.",
        small_graph,
    ),
    Sample(
        "mixed_cluster",
        "Two fast and two slow devices",
        "Durations per device type, shared weights, and layers that must stay together.",
        mixed_cluster,
    ),
    Sample(
        "exclusive_links",
        "Links that carry one tensor at a time",
        "Six tensors queue on two links: the order of transfers is part of the plan.",
        exclusive_link,
    ),
    Sample(
        "staged_period",
        "Throughput with staged transfers",
        "Transfers busy both ends; minimise the period, the busiest device's time per micro-batch.",
        staged_period,
    ),
    Sample(
        "job_shop_ft06",
        "Job shop ft06",
        "Fisher and Thompson's 6 jobs on 6 machines; the optimum is 55.",
        lambda: parse_job_shop(FT06, "job shop ft06"),
    ),
    Sample(
        "job_shop_la01",
        "Job shop la01",
        "Lawrence's 10 jobs on 5 machines; the optimum is 666, one machine's work.",
        lambda: parse_job_shop(LA01, "job shop la01"),
    ),
)
"""Every sample, the simplest first."""


def _problem(
    name: str,
    *,
    operators: list[dict],
    tensors: list[dict],
    devices: list[dict],
    groups: list[dict] | None = None,
    links: list[dict] | dict | None = None,
    transfers: str = "overlapped",
    micro_batches: int = 1,
    objective: Objective | None = None,
    memory_unit: str = "MiB",
) -> Problem:
    problem = Problem(
        template=build_graph(operators, tensors, groups or ()),
        cluster=build_cluster(devices, links, transfers),
        micro_batches=micro_batches,
        objective=objective or Objective(),
        name=name,
        memory_unit=memory_unit,
    )
    check_problem(problem)
    return problem
