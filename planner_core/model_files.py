"""A problem file, or a model file and what it takes to make a problem of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from planner_core.formats import FILE_LIMIT, parse_problem_file
from planner_core.formats.json_text import PathLike, read_bytes
from planner_core.problem import Cluster, InputError, Problem, check_problem
from planner_core.problem.clusters import homogeneous
from planner_core.problem.hardware import CostModel

if TYPE_CHECKING:
    from planner_core.problem.forward import Forward

_COSTS = ("batch", "devices", "device_type", "link", "compute_efficiency", "memory_efficiency",
          "link_efficiency", "launch_overhead")  # fmt: skip
"""Settings that decide what operators cost, so they are for files that hold a model."""


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """How a model becomes a problem; None leaves what the file says, or the default.

    Parameters
    ----------
    batch : int, optional
        Samples of a micro-batch; default 1.
    micro_batches : int, optional
        Default 1.
    devices : int, optional
        Default 4.
    device_type : str, optional
        A preset; default H100.
    link : str, optional
        A preset that joins every pair of devices; default NVLink 4.
    compute_efficiency, memory_efficiency, link_efficiency : float, optional
        Shares of peak rates that are reached; defaults of
        :class:`~planner_core.problem.hardware.CostModel`.
    launch_overhead : float, optional
        Microseconds per operator.
    training : bool
        Whether the backward pass is added to a forward graph.
    """

    batch: int | None = None
    micro_batches: int | None = None
    devices: int | None = None
    device_type: str | None = None
    link: str | None = None
    compute_efficiency: float | None = None
    memory_efficiency: float | None = None
    link_efficiency: float | None = None
    launch_overhead: float | None = None
    training: bool = False

    @property
    def cost(self) -> CostModel:
        """The roofline that times operators; InputError if an efficiency is no share."""
        given = {
            name: value
            for name in ("compute_efficiency", "memory_efficiency", "link_efficiency")
            if (value := getattr(self, name)) is not None
        }
        if self.launch_overhead is not None:
            given["launch_overhead"] = self.launch_overhead / 1e6
        return CostModel(**given)

    @property
    def cluster(self) -> Cluster:
        """The devices a model is laid on."""
        return homogeneous(
            4 if self.devices is None else self.devices,
            self.device_type or "H100",
            self.link or "NVLink 4",
            efficiency=self.cost.link_efficiency,
        )

    @property
    def words(self) -> str:
        """Where durations come from, in one sentence."""
        return (
            f"Durations: roofline of {self.device_type or 'H100'} and {self.link or 'NVLink 4'}, "
            f"{self.cost.words}."
        )


def read_model_file(path: PathLike, settings: ModelSettings | None = None) -> Problem:
    """Read a problem of any kind; a model file is laid on the devices that are asked for.

    Parameters
    ----------
    path : path
    settings : ModelSettings, optional
        All but ``training`` and ``micro_batches`` decide what operators cost, so they are for
        files that hold a model (ONNX).

    Raises
    ------
    InputError
        If the file is not sound or a setting does not apply to it.
    """
    settings = settings or ModelSettings()
    data = read_bytes(path, FILE_LIMIT)
    if not is_model(data):
        for name in _COSTS:
            if getattr(settings, name) is not None:
                raise InputError(
                    f"--{name.replace('_', '-')} is for ONNX models; '{path}' has costs and "
                    "devices of its own, so leave the option out"
                )
    return parse_model(data, settings, FILE_LIMIT)


def is_model(data: bytes) -> bool:
    """Whether the content of a file is a model (ONNX), whose costs are still to be decided."""
    from planner_core.formats import onnx

    return onnx.sniff(data)


def parse_model(data: bytes, settings: ModelSettings, max_bytes: int) -> Problem:
    """Return what :func:`read_model_file` does, of the content of a file."""
    source: Forward | Problem
    if is_model(data):
        from planner_core.formats import onnx

        batch = 1 if settings.batch is None else settings.batch
        source = onnx.parse_forward(
            data, max_bytes, batch=batch, cluster=settings.cluster, cost=settings.cost
        )
        problem = source.problem
    else:
        source = problem = parse_problem_file(data, max_bytes)
    if settings.training:
        from planner_core.workloads import training

        problem = training(source)
    if settings.micro_batches is not None:
        problem = replace(problem, micro_batches=settings.micro_batches)
        check_problem(problem)
    return problem
