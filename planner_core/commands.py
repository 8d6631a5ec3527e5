"""What each command of the command line does; every function returns the exit code."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from planner_core.timed_search import timed_search

if TYPE_CHECKING:
    from planner_core.baselines import BaselineResult
    from planner_core.problem import Problem
    from planner_core.schedule import Plan

EXIT_DONE, EXIT_VIOLATIONS, EXIT_BAD_INPUT, EXIT_INFEASIBLE, EXIT_NOTHING_FOUND = range(5)
EXIT_FAULT = 70

_CODES = {
    "optimal": EXIT_DONE,
    "feasible": EXIT_DONE,
    "infeasible": EXIT_INFEASIBLE,
    "unknown": EXIT_NOTHING_FOUND,
}


def plan(args: argparse.Namespace) -> int:
    """Find a plan, print what it came to, and write its file."""
    from planner_core.console import plan_summary
    from planner_core.formats import read_alternatives_file
    from planner_core.formats.plan_file import write_plan

    problem = _problem(args)
    split = read_alternatives_file(args.problem)
    if split is not None:
        split = replace(split, problem=problem)
    result = timed_search(args, problem, split)
    if args.output:
        write_plan(result, args.output)
        if split is not None:
            # The plan's operators are those of the alternatives chosen: keep their problem too.
            from planner_core.formats import write_problem_file

            beside = f"{os.path.splitext(args.output)[0]}.problem.json"
            write_problem_file(result.problem, beside)
            print(f"the problem with the alternatives chosen is in {beside}", file=sys.stderr)
    figures = None
    if result.schedule is not None:
        from planner_core.analysis.metrics import metrics

        figures = metrics(result.problem, result.schedule)
    text = plan_summary(result, figures)
    # Without a schedule the sentence is an error message, with one it is the result.
    print(text, file=sys.stdout if figures else sys.stderr)
    return _CODES[result.status]


def compare(args: argparse.Namespace) -> int:
    """Print a plan and expert schedules in one table."""
    from planner_core.console import table
    from planner_core.search.experts import available_experts, run_expert

    problem = _problem(args)
    names = args.baselines or [
        name for name, _, reason in available_experts(problem) if reason is None
    ]
    rows = [_baseline_row(name, problem, run_expert) for name in dict.fromkeys(names)]
    result = timed_search(args, problem)
    print(problem.name)
    print(table(_COMPARED, [_plan_row(result), *(row(result.lower_bound) for row in rows)]))
    if result.schedule is None:
        print(result.reason or f"the plan is {result.status}", file=sys.stderr)
    return _CODES[result.status]


def baseline(args: argparse.Namespace) -> int:
    """Print one expert schedule's figures and write its plan file."""
    from planner_core.analysis.metrics import metrics
    from planner_core.console import device_table, number, share
    from planner_core.formats.plan_file import write_plan
    from planner_core.schedule import Plan, measure
    from planner_core.search.experts import run_expert

    result = run_expert(args.name, _problem(args))
    problem, figures = result.problem, metrics(result.problem, result.schedule)
    print(f"{result.title} ({result.reference}) on {problem.name}")
    print(f"  makespan    {number(figures.makespan)} {problem.time_unit}")
    print(f"  idle share  {share(figures.idle_share)}")
    print()
    print(device_table(figures, problem.time_unit, problem.memory_unit))
    if args.output:
        value = measure(problem.objective.primary, problem, result.schedule)
        found = Plan(
            problem=problem,
            status="feasible",
            schedule=result.schedule,
            value=value,
            found_by=result.title,
            seconds=time.monotonic() - args.started,
        )
        write_plan(found, args.output)
    if result.fits:
        return EXIT_DONE
    print(f"{result.title} does not fit: {result.reason}", file=sys.stderr)
    return EXIT_VIOLATIONS


def check(args: argparse.Namespace) -> int:
    """List every violation of a plan file."""
    from planner_core.formats.plan_file import check_plan, read_plan_document

    problem = _problem(args)
    document = read_plan_document(args.plan)
    violations = check_plan(document, problem)
    if not violations:
        print(f"{args.plan}: keeps every rule, and its figures are true")
        return EXIT_DONE
    for violation in violations:
        print(violation)
    count = len(violations)
    print(f"{args.plan}: {count} violation{'s' if count > 1 else ''}", file=sys.stderr)
    return EXIT_VIOLATIONS


def pipeline(args: argparse.Namespace) -> int:
    """Write a pipeline as a problem file."""
    from planner_core.workloads import pipeline as make_pipeline

    problem = make_pipeline(
        args.devices,
        args.micro_batches,
        args.placement,
        chunks=args.chunks,
        forward=args.forward,
        backward_input=args.backward_input,
        backward_weight=args.backward_weight,
        backward=args.backward,
        transfer=args.transfer,
        activation=args.activation,
        released_by_input=args.released_by_input,
        weights=args.weights,
        memory=args.memory,
        name=args.name,
    )
    _write(problem, args.output)
    return EXIT_DONE


def convert(args: argparse.Namespace) -> int:
    """Read a problem of any kind and write it in another format; say what that has no place for."""
    from planner_core.formats import read_alternatives_file

    problem = _read(args.source, args)
    split = read_alternatives_file(args.source) is not None
    _write(problem, args.target, ["the alternatives of operators (none is split)"] if split else [])
    return EXIT_DONE


def _write(problem: Problem, path: str, left_out: Sequence[str] = ()) -> None:
    """Write a problem, and say what of it the file has no place for."""
    from planner_core.formats import write_problem_file

    left_out = [*left_out, *write_problem_file(problem, path)]
    print(f"{path}: {_size(problem)}")
    if left_out:
        print(f"{path} has no place for {'; '.join(left_out)}", file=sys.stderr)


def samples(args: argparse.Namespace) -> int:
    """Write the sample problems, an index of them and a page that says what each teaches."""
    from planner_core.sample_files import write_samples

    for path in write_samples(args.folder):
        print(path)
    return EXIT_DONE


def schema(args: argparse.Namespace) -> int:
    """Print the JSON Schema of a native file."""
    from planner_core.formats.schema import json_schema

    print(json_schema(args.which), end="")
    return EXIT_DONE


def _read(path: str, args: argparse.Namespace) -> Problem:
    """Read a problem or a model with the settings given for it."""
    from planner_core.model_files import ModelSettings, read_model_file

    settings = ModelSettings(
        batch=args.batch,
        micro_batches=args.micro_batches,
        devices=args.devices,
        device_type=args.device_type,
        link=args.link,
        compute_efficiency=args.compute_efficiency,
        memory_efficiency=args.memory_efficiency,
        link_efficiency=args.link_efficiency,
        launch_overhead=args.launch_overhead,
        training=args.training,
    )
    return read_model_file(path, settings)


def _problem(args: argparse.Namespace) -> Problem:
    """Read the problem and apply --memory, --objective and --budget."""
    import numpy as np

    from planner_core.problem import InputError, Objective, check_problem

    problem = _read(args.problem, args)
    if args.memory is not None:
        limits = np.atleast_1d(args.memory)
        if len(limits) not in (1, problem.n_devices):
            raise InputError(
                f"--memory has {len(limits)} values; give one, or one per device "
                f"({problem.n_devices})"
            )
        problem = problem.with_memory(limits)
    if args.objective or args.budget:
        minimize = tuple(args.objective or problem.objective.minimize)
        budgets = {k: v for k, v in problem.objective.subject_to.items() if k not in minimize}
        budgets.update(args.budget or ())
        problem = replace(problem, objective=Objective(minimize, budgets))
    if args.memory is not None or args.objective or args.budget:
        check_problem(problem)
    return problem


_COMPARED = (
    "schedule",
    "makespan",
    "bound",
    "gap",
    "idle share",
    "peak memory",
    "fits",
    "note",
)


def _plan_row(result: Plan) -> tuple[str, ...]:
    from planner_core.console import number, share

    if result.schedule is None:
        return ("plan", "–", number(result.lower_bound), "–", "–", "–", "–", result.status)
    makespan, idle, peak = _figures(result.problem, result.schedule)
    bound, gap = number(result.lower_bound), share(result.gap)
    return ("plan", makespan, bound, gap, idle, peak, "yes", result.status)


def _baseline_row(name: str, problem: Problem, run: Any) -> Any:
    """Return a function of the plan's lower bound that gives the row of one expert schedule."""
    from planner_core.console import number, share
    from planner_core.problem import NotApplicable
    from planner_core.schedule import relative_gap

    try:
        result = run(name, problem)
    except NotApplicable as error:
        reason = str(error)
        return lambda bound: (name, "–", "–", "–", "–", "–", "no", reason)
    makespan, idle, peak = _figures(result.problem, result.schedule)
    fits = "yes" if result.fits else "no"
    note = result.reason or _where(result, problem)

    def row(bound: float | None) -> Sequence[str]:
        if bound is None or result.own_placement or problem.objective.primary != "makespan":
            return (result.title, makespan, "–", "–", idle, peak, fits, note)
        gap = share(relative_gap(result.schedule.makespan, bound))
        return (result.title, makespan, number(bound), gap, idle, peak, fits, note)

    return row


def _where(result: BaselineResult, problem: Problem) -> str:
    """Say where an expert schedule runs if not as the problem says."""
    if result.own_placement:
        return "on its own placement"
    derived = result.problem is not problem
    return f"on {int(result.problem.graph.stage.max()) + 1} derived stages" if derived else ""


def _figures(problem: Problem, schedule: Any) -> tuple[str, str, str]:
    from planner_core.analysis.metrics import metrics
    from planner_core.console import number, share

    figures = metrics(problem, schedule)
    return number(figures.makespan), share(figures.idle_share), number(figures.peak_memory)


def _size(problem: Problem) -> str:
    graph = problem.template
    batches = f", {problem.micro_batches} micro-batches" if problem.micro_batches > 1 else ""
    return (
        f"{graph.n_operators} operators, {graph.n_tensors} tensors, "
        f"{problem.n_devices} devices{batches}"
    )
