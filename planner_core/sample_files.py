"""The folder of sample problems: native files, an index for programs, a page for people."""

from __future__ import annotations

import json
from pathlib import Path

from planner_core.formats.json_text import PathLike, write_text
from planner_core.formats.native import write_problem
from planner_core.problem import InputError
from planner_core.workloads.samples import DEFAULT_SAMPLE, SAMPLES

INDEX = "index.json"
PAGE = "README.md"


def write_samples(folder: PathLike) -> list[Path]:
    """Write every sample into a folder, made if need be; return the files.

    ``index.json`` lists ``file``, ``title``, ``teaches`` and which is the ``default``.

    Raises
    ------
    InputError
        If the folder or a file cannot be written.
    """
    home = Path(folder)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder '{home}': {error.strerror}") from None
    files = []
    for sample in SAMPLES:
        files.append(home / f"{sample.file}.json")
        write_problem(sample.make(), files[-1])
    index = {
        "default": f"{DEFAULT_SAMPLE}.json",
        "samples": [
            {"file": f"{s.file}.json", "title": s.title, "teaches": s.teaches} for s in SAMPLES
        ],
    }
    page = [
        "# Sample problems",
        "",
        "Native problem files, written by `python -m planner_core samples sample_graphs`.",
        "",
        "| file | what it is | what it teaches |",
        "|---|---|---|",
        *(f"| [{s.file}.json]({s.file}.json) | {s.title} | {s.teaches} |" for s in SAMPLES),
    ]
    write_text(json.dumps(index, indent=2, ensure_ascii=False) + "\n", home / INDEX)
    write_text("\n".join(page) + "\n", home / PAGE)
    return [*files, home / INDEX, home / PAGE]
