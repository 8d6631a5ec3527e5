"""Files in and out, one module per format; the kind of a file is told by its content.

Every module named in :data:`READERS` has ``sniff(data: bytes) -> bool`` and
``parse_problem(data: bytes, max_bytes: int) -> Problem``; every module named in
:data:`WRITERS` has ``write_problem(problem, path) -> tuple[str, ...]``, which returns what the
format has no place for. They are imported when first needed.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING

from planner_core.formats.json_text import FILE_LIMIT, UPLOAD_LIMIT, PathLike, read_bytes
from planner_core.problem import InputError

if TYPE_CHECKING:
    from planner_core.problem import Problem
    from planner_core.problem.alternatives import SplitProblem

__all__ = [
    "FILE_LIMIT",
    "READERS",
    "UPLOAD_LIMIT",
    "WRITERS",
    "parse_problem_file",
    "read_alternatives_file",
    "read_problem_file",
    "write_problem_file",
]

READERS: dict[str, str] = {
    "native problem": "native",
    "dnn-partitioning JSON": "dnn_partitioning",
    "Piper JSON": "piper",
    "GraphML": "graphml",
    "DOT": "dot",
    "CSV tables": "csv_tables",
    "ONNX": "onnx",
}
"""Kind of file, as people call it, and the module that reads it; asked in this order."""

WRITERS: dict[str, str] = {
    ".json": "native",
    ".graphml": "graphml",
    ".dot": "dot",
    ".gv": "dot",
    ".zip": "csv_writer",
    ".csv": "csv_writer",
}
"""File name ending and the module that writes it."""


def parse_problem_file(data: bytes, max_bytes: int = UPLOAD_LIMIT) -> Problem:
    """Return the problem in the content of a file of any kind the library reads.

    Parameters
    ----------
    data : bytes
    max_bytes : int
        Largest content accepted.

    Raises
    ------
    InputError
        If no format fits, or the one that fits finds something wrong.
    """
    from planner_core.formats.json_text import check_size

    check_size(len(data), max_bytes)
    if not data.strip():
        raise InputError("the file is empty; give a problem file")
    for module_name in READERS.values():
        module = import_module(f"{__name__}.{module_name}")
        if module.sniff(data):
            return module.parse_problem(data, max_bytes)
    if data.lstrip()[:1] in (b"{", b"[") or data.startswith(b"\xef\xbb\xbf"):
        # JSON of no known kind: the native reader says best what is missing.
        return import_module(f"{__name__}.native").parse_problem(data, max_bytes)
    raise InputError(f"the file is of no known kind; it may be: {', '.join(READERS)}")


def read_problem_file(path: PathLike, max_bytes: int = FILE_LIMIT) -> Problem:
    """Read a file of any kind; see :func:`parse_problem_file`."""
    return parse_problem_file(read_bytes(path, max_bytes), max_bytes)


def read_alternatives_file(path: PathLike, max_bytes: int = FILE_LIMIT) -> SplitProblem | None:
    """Return the operators of a file with their alternatives; None if its format has none."""
    data = read_bytes(path, max_bytes)
    piper = import_module(f"{__name__}.piper")
    if not piper.sniff(data):
        return None
    split: SplitProblem = piper.parse_alternatives(data, max_bytes)
    return split


def write_problem_file(problem: Problem, path: PathLike) -> tuple[str, ...]:
    """Write a problem in the format that the file name's ending names.

    Returns
    -------
    tuple of str
        What of the problem the format has no place for; empty for all but a single CSV table.

    Raises
    ------
    InputError
        If the ending is not known or the file cannot be written.
    """
    ending = PurePath(path).suffix.lower()
    if ending not in WRITERS:
        raise InputError(
            f"'{path}' ends in '{ending}'; problems are written as {', '.join(WRITERS)}"
        )
    module = import_module(f"{__name__}.{WRITERS[ending]}")
    left_out: tuple[str, ...] = module.write_problem(problem, path)
    return left_out
