"""The native files' shape: one source for validation and for the published JSON Schemas."""

from __future__ import annotations

import json
from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Discriminator, Field, Tag, TypeAdapter, with_config
from typing_extensions import TypedDict

PROBLEM_FORMAT = "parallelism-problem/1"
PLAN_FORMAT = "parallelism-plan/1"
SCENARIO_FORMAT = "parallelism-scenario/1"

INT32_MAX = 2**31 - 1

_STRICT = ConfigDict(extra="forbid", strict=True)

Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Index = Annotated[int, Field(ge=0, le=INT32_MAX)]
Name = Annotated[str, Field(min_length=1, max_length=1000)]
Kind = Literal[
    "forward",
    "backward_input",
    "backward_weight",
    "backward",
    "optimizer",
    "all_to_all",
    "all_reduce",
    "other",
]
Measure = Literal["makespan", "period", "peak_memory", "transfer"]


def _object_or_single(value: Any) -> str:
    """Tell which member of a union a value is meant to be, so that one error is reported."""
    return "object" if isinstance(value, dict) else "single"


def _object_or_list(value: Any) -> str:
    return "object" if isinstance(value, dict) else "list"


def _list_or_single(value: Any) -> str:
    return "list" if isinstance(value, list) else "single"


Duration = Annotated[
    Annotated[Number, Tag("single")] | Annotated[dict[Name, Number], Tag("object")],
    Discriminator(_object_or_single),
]


@with_config(_STRICT)
class OperatorRecord(TypedDict):
    """A piece of work that runs on one device, on one of its streams, without interruption."""

    id: Name
    duration: Annotated[
        Duration, Field(description="time on a device of speed 1, or per device type")
    ]
    kind: NotRequired[Kind]
    stage: NotRequired[Annotated[Index | None, Field(description="pipeline stage")]]
    micro_batch: NotRequired[
        Annotated[Index | None, Field(description="only where top-level micro_batches is absent")]
    ]
    devices: NotRequired[
        Annotated[list[Name] | None, Field(description="allowed devices; absent = any")]
    ]
    parameters: NotRequired[Annotated[list[Name], Field(description="parameter groups it uses")]]
    stream: NotRequired[Annotated[Name, Field(description="compute (default) or network, …")]]
    workspace: NotRequired[Annotated[Number, Field(description="memory in use while it runs")]]
    colocate: NotRequired[
        Annotated[Name | None, Field(description="operators of one group share a device")]
    ]


@with_config(_STRICT)
class TensorRecord(TypedDict):
    """What one operator produces and others consume."""

    id: Name
    producer: Name
    consumers: NotRequired[list[Name]]
    size: NotRequired[Number]
    transfer: NotRequired[
        Annotated[
            Number | None, Field(description="fixed transfer time instead of latency and bandwidth")
        ]
    ]
    output: NotRequired[Annotated[bool, Field(description="held until the end")]]


@with_config(_STRICT)
class ParameterGroupRecord(TypedDict):
    """Weights that operators share; a device holds a group once."""

    id: Name
    size: NotRequired[Number]


@with_config(_STRICT)
class DeviceRecord(TypedDict):
    """A device: memory limit, speed or type, and whether it is a host."""

    id: Name
    type: NotRequired[Name | None]
    memory: NotRequired[Annotated[Number | None, Field(description="absent or null = unlimited")]]
    speed: NotRequired[Positive]
    host: NotRequired[Annotated[bool, Field(description="pays nothing for staged transfers")]]


@with_config(_STRICT)
class DefaultLink(TypedDict):
    """The link of every pair of devices."""

    latency: NotRequired[Number]
    bandwidth: NotRequired[Annotated[Positive | None, Field(description="null = infinite")]]
    exclusive: NotRequired[Annotated[bool, Field(description="its transfers exclude each other")]]


@with_config(_STRICT)
class LinkRecord(DefaultLink):
    """A link from one device to another."""

    source: Name
    target: Name


@with_config(_STRICT)
class EveryLink(TypedDict):
    """One link for every pair."""

    default: DefaultLink


Links = Annotated[
    Annotated[list[LinkRecord], Tag("list")] | Annotated[EveryLink, Tag("object")],
    Discriminator(_object_or_list),
]


@with_config(_STRICT)
class ClusterRecord(TypedDict):
    """Devices and the links between them."""

    devices: list[DeviceRecord]
    links: NotRequired[
        Annotated[Links, Field(description="absent = a free link for every pair; [] = none")]
    ]
    transfers: NotRequired[Literal["overlapped", "staged"]]


Minimize = Annotated[
    Annotated[Measure, Tag("single")]
    | Annotated[Annotated[list[Measure], Field(min_length=1)], Tag("list")],
    Discriminator(_list_or_single),
]


@with_config(_STRICT)
class ObjectiveRecord(TypedDict):
    """What is minimised (a list is lexicographic) and budgets on other measures."""

    minimize: NotRequired[Minimize]
    subject_to: NotRequired[dict[Measure, Number]]


@with_config(_STRICT)
class ProblemFile(TypedDict):
    """A problem: graph, cluster, micro-batches and objective."""

    format: Literal["parallelism-problem/1"]
    name: NotRequired[Name]
    time_unit: NotRequired[Name]
    memory_unit: NotRequired[Name]
    micro_batches: NotRequired[Annotated[int, Field(ge=1, le=INT32_MAX)]]
    operators: list[OperatorRecord]
    tensors: NotRequired[list[TensorRecord]]
    parameter_groups: NotRequired[list[ParameterGroupRecord]]
    cluster: ClusterRecord
    objective: NotRequired[ObjectiveRecord]


@with_config(_STRICT)
class SettingsRecord(TypedDict):
    """What is set beside a problem; absent = as in the problem."""

    minimize: NotRequired[Minimize]
    subject_to: NotRequired[dict[Measure, Number]]
    memory: NotRequired[Annotated[Number, Field(description="limit of every device")]]
    micro_batches: NotRequired[Annotated[int, Field(ge=1, le=INT32_MAX)]]
    time_limit: NotRequired[Annotated[Positive, Field(description="seconds")]]
    merging: NotRequired[Annotated[str, Field(description="automatic, none, or a heuristic")]]
    merging_cap: NotRequired[
        Annotated[Number, Field(description="work a macro-operator may hold, in the time unit")]
    ]
    cluster: NotRequired[ClusterRecord]


@with_config(_STRICT)
class ScenarioFile(TypedDict):
    """A problem and what was set beside it."""

    format: Literal["parallelism-scenario/1"]
    problem: Annotated[dict[str, Any], Field(description="a problem file")]
    settings: NotRequired[SettingsRecord]


@with_config(_STRICT)
class PlanObjective(TypedDict):
    """The measure minimised, its value, its proved lower bound and the gap between them."""

    minimize: Minimize
    value: NotRequired[Number | None]
    lower_bound: NotRequired[Number | None]
    gap: NotRequired[Number | None]
    proved_by: NotRequired[str | None]


@with_config(_STRICT)
class PlanDevice(TypedDict):
    """What one device does in the plan; idle = makespan − busy."""

    id: Name
    busy: Number
    idle: Annotated[float, Field(allow_inf_nan=False)]
    peak_memory: Number
    memory: NotRequired[Annotated[Number | None, Field(description="limit; null = unlimited")]]


@with_config(_STRICT)
class PlanOperator(TypedDict):
    """When and where one operator runs."""

    id: Name
    device: Name
    start: Annotated[float, Field(allow_inf_nan=False)]
    finish: Annotated[float, Field(allow_inf_nan=False)]


@with_config(_STRICT)
class PlanTransfer(TypedDict):
    """When one tensor goes from one device to another."""

    tensor: Name
    source: Name
    target: Name
    start: Annotated[float, Field(allow_inf_nan=False)]
    finish: Annotated[float, Field(allow_inf_nan=False)]


@with_config(_STRICT)
class PlanFile(TypedDict):
    """A schedule with its status, objective value, lower bound and gap."""

    format: Literal["parallelism-plan/1"]
    problem: Name
    status: Literal["optimal", "feasible", "infeasible", "unknown"]
    objective: PlanObjective
    makespan: NotRequired[Number | None]
    period: NotRequired[Number | None]
    found_by: NotRequired[str | None]
    seconds: NotRequired[Number]
    reason: NotRequired[Annotated[str | None, Field(description="why there is no schedule")]]
    devices: NotRequired[list[PlanDevice]]
    operators: NotRequired[list[PlanOperator]]
    transfers: NotRequired[list[PlanTransfer]]


@cache
def adapter(which: str) -> TypeAdapter[Any]:
    """Return the validator of a native file: ``problem``, ``plan`` or ``scenario``."""
    files = {"problem": ProblemFile, "plan": PlanFile, "scenario": ScenarioFile}
    return TypeAdapter(files[which])


def json_schema(which: str = "problem") -> str:
    """Return the JSON Schema of the ``problem``, ``plan`` or ``scenario`` file as text."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **adapter(which).json_schema(),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
