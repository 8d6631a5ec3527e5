"""The sample files are what the library writes, and can be read."""

import json
from pathlib import Path

import pytest

from planner_core.formats import read_problem_file
from planner_core.problem import check_problem
from planner_core.sample_files import write_samples
from planner_core.workloads.samples import DEFAULT_SAMPLE, SAMPLES

COMMITTED = Path(__file__).parents[2] / "sample_graphs"


def test_the_committed_files_are_up_to_date(tmp_path):
    for file in write_samples(tmp_path):
        assert (COMMITTED / file.name).read_text("utf-8") == file.read_text("utf-8"), file.name
    assert {f.name for f in COMMITTED.iterdir()} == {f.name for f in tmp_path.iterdir()}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file)
def test_every_sample_is_sound_and_says_what_it_teaches(sample):
    problem = read_problem_file(COMMITTED / f"{sample.file}.json")
    check_problem(problem)
    assert problem.name == sample.make().name
    assert 20 < len(sample.teaches) < 120


def test_the_index_names_every_file_and_the_default():
    index = json.loads((COMMITTED / "index.json").read_text("utf-8"))
    assert index["default"] == f"{DEFAULT_SAMPLE}.json"
    assert [row["file"] for row in index["samples"]] == [f"{s.file}.json" for s in SAMPLES]
    assert index["default"] in [row["file"] for row in index["samples"]]
