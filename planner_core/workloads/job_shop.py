"""Job shops: every operator on a given device, each job a chain. The classic scheduling test."""

from __future__ import annotations

import re
from collections.abc import Sequence

from planner_core.problem import InputError, Problem, build_cluster, build_graph, check_problem
from planner_core.problem.limits import check_counts

Job = Sequence[tuple[int, float]]
"""Machine and duration of each step of a job, in order."""


def job_shop(jobs: Sequence[Job], name: str = "job shop") -> Problem:
    """Return a job shop as a problem with fixed devices and free links.

    Parameters
    ----------
    jobs : sequence of sequences of (machine, duration)
        Machines are numbered from 0; a job may visit a machine more than once or never.
    name : str

    Returns
    -------
    Problem
        Operator ``j2.0`` is the first step of job 2; machine 3 is device ``machine3``.

    Raises
    ------
    InputError
        If there is no job, a machine is negative or a duration is not a number, 0 or more.
    """
    operators: list[dict] = []
    tensors: list[dict] = []
    for j, steps in enumerate(jobs):
        for i, (machine, duration) in enumerate(steps):
            if machine < 0:
                raise InputError(f"job {j} names machine {machine}; number machines from 0")
            operators.append(
                {"id": f"j{j}.{i}", "duration": duration, "devices": [f"machine{machine}"]}
            )
            if i:
                tensors.append(
                    {"id": f"t{j}.{i}", "producer": f"j{j}.{i - 1}", "consumers": [f"j{j}.{i}"]}
                )
    if not operators:
        raise InputError("the job shop has no jobs; add at least one")
    n_machines = 1 + max(machine for steps in jobs for machine, _ in steps)
    check_counts(n_machines, len(operators))
    problem = Problem(
        template=build_graph(operators, tensors),
        cluster=build_cluster([{"id": f"machine{k}"} for k in range(n_machines)]),
        name=name,
        time_unit="units",
    )
    check_problem(problem)
    return problem


def parse_job_shop(text: str, name: str = "job shop") -> Problem:
    """Return the job shop that a text in the standard format of the OR-Library describes.

    The first line holds the number of jobs and of machines; then comes a line per job with
    pairs of machine (from 0) and duration. Lines before the first line that holds nothing but
    two numbers are comments (Beasley 1990, "OR-Library: distributing test problems").

    Raises
    ------
    InputError
        If a line is missing, holds something else than numbers, or names an unknown machine.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    head = next(
        (i for i, line in enumerate(lines) if re.fullmatch(r"\d{1,9}\s+\d{1,9}", line)), None
    )
    if head is None:
        raise InputError("the job shop has no line with the numbers of jobs and machines; add it")
    n_jobs, n_machines = map(int, lines[head].split())
    rows = lines[head + 1 : head + 1 + n_jobs]
    if len(rows) < n_jobs:
        raise InputError(f"the job shop has {len(rows)} lines of jobs; it announces {n_jobs}")
    return job_shop([_job(row, j, n_machines) for j, row in enumerate(rows)], name)


def _job(row: str, number: int, n_machines: int) -> Job:
    try:
        values = [float(word) for word in row.split()]
    except ValueError:
        raise InputError(f"job {number} holds something that is not a number: '{row}'") from None
    if len(values) % 2:
        raise InputError(f"job {number} has {len(values)} numbers; give a machine and a duration")
    steps = [(int(m), duration) for m, duration in zip(values[::2], values[1::2], strict=True)]
    for machine, given in zip(steps, values[::2], strict=True):
        if machine[0] != given or not 0 <= given < n_machines:
            raise InputError(
                f"job {number} names machine {given:g}; machines are numbered 0 to {n_machines - 1}"
            )
    return steps
