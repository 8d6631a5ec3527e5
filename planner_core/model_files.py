"""A problem file, or a model file and what it takes to make a problem of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from planner_core.formats import FILE_LIMIT, parse_problem_file
from planner_core.formats.json_text import PathLike, read_bytes
from planner_core.problem import InputError, Problem, check_problem

if TYPE_CHECKING:
    from planner_core.problem.forward import Forward


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
    training : bool
        Whether the backward pass is added to a forward graph.
    """

    batch: int | None = None
    micro_batches: int | None = None
    devices: int | None = None
    device_type: str | None = None
    link: str | None = None
    training: bool = False


def read_model_file(path: PathLike, settings: ModelSettings | None = None) -> Problem:
    """Read a problem of any kind; a model file is laid on the devices that are asked for.

    Parameters
    ----------
    path : path
    settings : ModelSettings, optional
        ``batch``, ``devices``, ``device_type`` and ``link`` decide what operators cost, so they
        are for files that hold a model (ONNX); the others are for any file.

    Raises
    ------
    InputError
        If the file is not sound or a setting does not apply to it.
    """
    settings = settings or ModelSettings()
    from planner_core.formats import onnx

    data = read_bytes(path, FILE_LIMIT)
    source: Forward | Problem
    if onnx.sniff(data):
        source = _forward_of(data, settings)
        problem = source.problem
    else:
        for name in ("batch", "devices", "device_type", "link"):
            if getattr(settings, name) is not None:
                raise InputError(
                    f"--{name.replace('_', '-')} is for ONNX models; '{path}' has costs and "
                    "devices of its own, so leave the option out"
                )
        source = problem = parse_problem_file(data, FILE_LIMIT)
    if settings.training:
        from planner_core.workloads import training

        problem = training(source)
    if settings.micro_batches is not None:
        problem = replace(problem, micro_batches=settings.micro_batches)
        check_problem(problem)
    return problem


def _forward_of(data: bytes, settings: ModelSettings) -> Forward:
    from planner_core.formats import onnx
    from planner_core.problem.clusters import homogeneous

    cluster = homogeneous(
        4 if settings.devices is None else settings.devices,
        settings.device_type or "H100",
        settings.link or "NVLink 4",
    )
    batch = 1 if settings.batch is None else settings.batch
    return onnx.parse_forward(data, FILE_LIMIT, batch=batch, cluster=cluster)
