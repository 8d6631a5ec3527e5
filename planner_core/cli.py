"""The command line: arguments, exit codes, and one clear sentence for whatever goes wrong.

Exit codes: 0 done (a plan was found, the check passed), 1 a checked plan or a baseline breaks a
rule, 2 bad input, 3 proved infeasible, 4 nothing found in time, 130 stopped at once.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
import traceback
from collections.abc import Sequence

from planner_core import commands
from planner_core.problem import InfeasibleError, PlannerError
from planner_core.timed_search import EXIT_INTERRUPTED

LONGEST_TIME_LIMIT = 7 * 24 * 3600.0


def main(arguments: Sequence[str] | None = None, started: float | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.
    started : float, optional
        ``time.monotonic()`` when the program began: time limits count from here. Default: now.

    Returns
    -------
    int
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        parsed = _parser().parse_args(arguments)
        parsed.started = time.monotonic() if started is None else started
    except SystemExit as stop:  # argparse has printed its message
        return int(stop.code or 0)
    return _guarded(parsed)


def _guarded(parsed: argparse.Namespace) -> int:
    """Run a command; turn every exception into a sentence and an exit code."""
    try:
        code = getattr(commands, parsed.command)(parsed)
        sys.stdout.flush()
    except InfeasibleError as error:
        return _complain(str(error), commands.EXIT_INFEASIBLE)
    except PlannerError as error:
        return _complain(str(error), commands.EXIT_BAD_INPUT)
    except BrokenPipeError:
        # The reader of our output is gone; keep Python from complaining as it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return commands.EXIT_VIOLATIONS
    except KeyboardInterrupt:
        return _complain("stopped", EXIT_INTERRUPTED)
    except MemoryError:
        return _complain(
            "this machine has too little memory for the problem", commands.EXIT_NOTHING_FOUND
        )
    except Exception as error:
        if parsed.debug:
            traceback.print_exc()
        return _complain(
            f"a fault in the planner, not in your input: {type(error).__name__}: {error}; "
            "please report it, with the output of --debug",
            commands.EXIT_FAULT,
        )
    return code


def _complain(sentence: str, code: int) -> int:
    try:
        print(f"planner_core: {sentence}", file=sys.stderr, flush=True)
    except OSError:
        return code
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m planner_core",
        description="Plan which operator of a computation runs on which device and when, and "
        "prove how good the plan is.",
        epilog="Exit codes: 0 done, 1 a checked plan or a baseline breaks a rule, 2 bad input, "
        "3 proved infeasible, 4 nothing found in time.",
    )
    parser.add_argument("--debug", action="store_true", help="show where a fault arose")
    group = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_search_commands(group)
    _add_pipeline(group)

    check = group.add_parser("check", help="check a plan file against its problem")
    _add_problem(check)
    check.add_argument("plan", metavar="PLAN", help="plan file")

    convert = group.add_parser("convert", help="read a problem of any kind, write it anew")
    convert.add_argument("source", metavar="IN", help="problem file of any kind")
    convert.add_argument("target", metavar="OUT", help="file to write; its ending is the format")
    _add_model(convert)

    samples = group.add_parser("samples", help="write the sample problems into a folder")
    samples.add_argument("folder", metavar="FOLDER", help="made if it does not exist")

    schema = group.add_parser("schema", help="print the JSON Schema of the native files")
    schema.add_argument("which", nargs="?", choices=("problem", "plan"), default="problem")
    return parser


def _add_search_commands(group: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    plan = group.add_parser("plan", help="find a plan and prove how good it is")
    _add_problem(plan)
    _add_search(plan)
    plan.add_argument("--output", metavar="FILE", help="write the plan file here")

    compare = group.add_parser("compare", help="a plan beside expert schedules")
    _add_problem(compare)
    _add_search(compare)
    compare.add_argument(
        "--with",
        dest="baselines",
        type=_names,
        metavar="NAME,…",
        help="expert schedules to compare with (default: all that know this kind of problem)",
    )

    baseline = group.add_parser("baseline", help="one expert schedule")
    baseline.add_argument("name", metavar="NAME", help="such as 1f1b or dualpipe")
    _add_problem(baseline)
    baseline.add_argument("--output", metavar="FILE", help="write its plan file here")


def _add_problem(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("problem", metavar="PROBLEM", help="problem file of any kind")
    parser.add_argument(
        "--memory",
        type=_numbers,
        metavar="X",
        help="another memory limit: one for all devices, or one each (comma-separated)",
    )
    parser.add_argument(
        "--objective",
        type=_names,
        metavar="MEASURE,…",
        help="minimise makespan, period, peak_memory or transfer; several: in this order",
    )
    parser.add_argument(
        "--budget",
        type=_budget,
        action="append",
        metavar="MEASURE=X",
        help="keep another measure at or below X (may be repeated)",
    )
    _add_model(parser)


def _add_model(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("models", "what a model file is made into")
    model.add_argument(
        "--training", action="store_true", help="add the backward pass to a forward graph"
    )
    model.add_argument(
        "--micro-batches", type=int, metavar="M", help="repeat the graph so often (default 1)"
    )
    model.add_argument(
        "--batch", type=int, metavar="N", help="ONNX: samples of a micro-batch (default 1)"
    )
    model.add_argument("--devices", type=int, metavar="K", help="ONNX: devices (default 4)")
    model.add_argument(
        "--device-type", metavar="NAME", help="ONNX: such as A100, H100 (default), MI300X"
    )
    model.add_argument(
        "--link", metavar="NAME", help="ONNX: between every two devices (default 'NVLink 4')"
    )
    for name, text in (
        ("compute", "the device's FLOP/s that are reached (default 0.6)"),
        ("memory", "the device's memory bandwidth that is reached (default 0.8)"),
        ("link", "the link's bandwidth that is reached (default 0.8)"),
    ):
        model.add_argument(
            f"--{name}-efficiency", type=float, metavar="X", help=f"ONNX: share of {text}"
        )
    model.add_argument(
        "--launch-overhead",
        type=float,
        metavar="US",
        help="ONNX: microseconds added to every operator (default 3)",
    )


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--time-limit",
        type=_seconds,
        default=60.0,
        metavar="S",
        help="wall-clock seconds, everything included (default 60)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of random choices")
    parser.add_argument(
        "--merging",
        default="automatic",
        metavar="NAME",
        help="merge operators before the search: automatic (default), none, chains, producers, "
        "consumers, siblings, 'heavy edges', levels, stages or combined",
    )
    parser.add_argument(
        "--merging-cap",
        type=float,
        metavar="X",
        help="work a merged operator may hold, in the time unit (default 0.2 %% of the bound)",
    )


def _add_pipeline(group: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = group.add_parser("pipeline", help="write a pipeline of stages × micro-batches")
    parser.add_argument("--devices", type=int, required=True, metavar="P")
    parser.add_argument("--micro-batches", type=int, required=True, metavar="M")
    parser.add_argument(
        "--placement",
        default="linear",
        metavar="NAME",
        help="linear (default), interleaved, v, bidirectional or wave",
    )
    parser.add_argument(
        "--chunks", type=int, default=2, metavar="V", help="stages per device, interleaved or wave"
    )
    for name, default, text in (
        ("forward", 1.0, "duration of F"),
        ("backward-input", 1.0, "duration of I"),
        ("backward-weight", 1.0, "duration of W"),
        ("backward", None, "duration of a fused backward, in place of I and W"),
        ("activation", None, "saved activation of one micro-batch (default 1)"),
        ("released-by-input", 0.0, "share of a saved activation that I frees; W frees the rest"),
        ("weights", 0.0, "parameter memory of a stage"),
    ):
        parser.add_argument(
            f"--{name}",
            type=_numbers,
            default=default,
            metavar="X",
            help=f"{text}; one value, or one per stage (comma-separated)",
        )
    parser.add_argument("--transfer", type=float, default=0.0, metavar="X", help="transfer time")
    parser.add_argument(
        "--memory",
        type=_numbers,
        metavar="X",
        help="memory limit, in saved activations unless --activation is given; one value, or "
        "one per device (comma-separated)",
    )
    parser.add_argument("--name", metavar="TEXT", help="name of the problem")
    parser.add_argument("--output", required=True, metavar="FILE", help="file to write")


def _numbers(text: str) -> float | list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a number or a comma-separated list of numbers"
        ) from None
    if not all(math.isfinite(value) for value in values):
        raise argparse.ArgumentTypeError(f"'{text}' must hold finite numbers")
    return values[0] if len(values) == 1 else values


def _names(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"'{text}' has an empty name between commas")
    return names


def _budget(text: str) -> tuple[str, float]:
    measure, equals, value = text.partition("=")
    try:
        if equals:
            return measure.strip(), float(value)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not of the form makespan=70")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= LONGEST_TIME_LIMIT:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a number of seconds above 0 and at most {LONGEST_TIME_LIMIT:g}"
        )
    return value
