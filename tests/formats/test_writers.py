"""What is written in any format is read again as the same problem, or it is said what is not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner_core.cli import main
from planner_core.formats import WRITERS, read_problem_file, write_problem_file
from planner_core.formats.native import problem_document, problem_from_document
from planner_core.problem import InputError, Objective
from planner_core.workloads import pipeline, random_layered
from tests.strategies import problems

LOSSLESS = [ending for ending in WRITERS if ending != ".csv"]

NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=6
)  # fmt: skip


def told(problem):
    """The problem as a document in which the order of tensors, consumers and groups is fixed."""
    document = problem_document(problem)
    document["tensors"] = sorted(
        ({**row, "consumers": sorted(row["consumers"])} for row in document["tensors"]),
        key=lambda row: row["id"],
    )
    document["parameter_groups"].sort(key=lambda row: row["id"])
    return document


def again(problem, folder, ending):
    path = Path(folder) / f"p{ending}"
    left_out = write_problem_file(problem, path)
    return read_problem_file(path), left_out


@st.composite
def named(draw):
    """A problem whose operators, groups and devices have names of all kinds, and an objective."""
    problem = draw(problems(linked=False))
    document = problem_document(problem)
    text = json.dumps(document)
    ids = [row["id"] for key in ("operators", "parameter_groups") for row in document[key]]
    ids += [row["id"] for row in document["cluster"]["devices"]]
    new = draw(st.lists(NAMES, min_size=len(ids), max_size=len(ids), unique=True))
    for old, name in zip(ids, new, strict=True):
        text = text.replace(json.dumps(old), json.dumps(name))
    renamed = problem_from_document(json.loads(text))
    objective = draw(
        st.sampled_from(
            [
                Objective(),
                Objective(("period", "transfer"), {"makespan": 1e6, "peak_memory": 0.1 + 0.2}),
            ]
        )
    )
    return replace(renamed, objective=objective)


@pytest.mark.parametrize("ending", LOSSLESS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=named())
def test_every_problem_comes_back_or_is_refused_by_name(ending, problem, tmp_path_factory):
    path = tmp_path_factory.mktemp("p") / f"p{ending}"
    refused = ""
    try:
        assert write_problem_file(problem, path) == ()
    except InputError as error:
        refused = str(error)
    if refused:
        assert "cannot be written" in refused
        assert ending != ".json"
    else:
        assert told(read_problem_file(path)) == told(problem)


@pytest.mark.parametrize("ending", LOSSLESS)
def test_ordinary_names_are_never_refused(ending, tmp_path):
    for problem in (
        pipeline(2, 3, "bidirectional", memory=4),
        random_layered(20, 3, seed=1),
    ):
        back, left_out = again(problem, tmp_path, ending)
        assert left_out == ()
        assert told(back) == told(problem)


def test_names_that_look_like_something_else(tmp_path):
    document = {
        "format": "parallelism-problem/1",
        "operators": [
            {"id": "node", "duration": 1.0, "parameters": ["5"], "colocate": "a,b"},
            {"id": "edge", "duration": {"H 100": 2.0}, "parameters": ["5", "<w>"]},
            {"id": "b:1", "duration": 0.1, "devices": ["1"]},
        ],
        "tensors": [
            {"id": "t", "producer": "node", "consumers": ["edge", "b:1"], "size": 0.1 + 0.2},
            {"id": "u", "producer": "node", "consumers": ["edge"], "size": 1e-300, "output": True},
            {"id": "last", "producer": "b:1", "size": 3.0, "output": True},
        ],
        "parameter_groups": [{"id": "5", "size": 7.0}, {"id": "<w>", "size": 1.0}],
        "cluster": {"devices": [{"id": "1", "type": "H 100"}, {"id": 'say "2"'}], "links": []},
    }
    problem = problem_from_document(document)
    for ending in LOSSLESS:
        back, _ = again(problem, tmp_path, ending)
        assert told(back) == told(problem)


def test_a_single_table_says_what_it_has_no_place_for(tmp_path):
    document = problem_document(pipeline(2, 3, weights=4.0))
    document["tensors"][0]["transfer"] = 0.5
    problem = problem_from_document(document)
    back, left_out = again(problem, tmp_path, ".csv")
    words = " ".join(left_out)
    for item in ("the cluster", "the objective", "share parameters", "fixed transfer times"):
        assert item in words
    ours, theirs = problem.template, back.template
    assert theirs.operator_ids.tolist() == ours.operator_ids.tolist()
    assert theirs.duration.tolist() == ours.duration.tolist()
    pairs = [
        set(zip(g.edge_source.tolist(), g.edge_target.tolist(), strict=True))
        for g in (ours, theirs)
    ]
    assert pairs[0] == pairs[1]


@pytest.mark.parametrize(
    ("name", "ending"),
    [(" a", ".zip"), ("None", ".graphml"), ("a\x07", ".graphml"), ("a\\", ".dot")],
)
def test_names_that_a_format_cannot_give_back_are_refused(name, ending, tmp_path):
    problem = pipeline(1, 1)
    ids = problem.template.operator_ids.copy()
    ids[0] = name
    renamed = replace(problem, template=replace(problem.template, operator_ids=ids))
    with pytest.raises(InputError, match="cannot be written"):
        write_problem_file(renamed, tmp_path / f"p{ending}")
    write_problem_file(renamed, tmp_path / "p.json")


def test_convert_there_and_back(tmp_path, capsys):
    first = tmp_path / "p.json"
    write_problem_file(random_layered(12, 3, seed=2), first)
    for ending in (".graphml", ".zip"):
        assert main(["convert", str(first), str(tmp_path / f"q{ending}")]) == 0
        assert main(["convert", str(tmp_path / f"q{ending}"), str(tmp_path / "r.json")]) == 0
        assert capsys.readouterr().err == ""
        assert told(read_problem_file(tmp_path / "r.json")) == told(read_problem_file(first))
    assert main(["convert", str(first), str(tmp_path / "q.csv")]) == 0
    assert "q.csv has no place for the cluster; the objective" in capsys.readouterr().err
    assert main(["convert", str(first), str(tmp_path / "q.xyz")]) == 2
    assert ".graphml" in capsys.readouterr().err


def test_alternatives_that_are_left_behind_are_said(tmp_path, capsys):
    from tests.formats.test_piper import SMALL

    source = tmp_path / "piper.json"
    source.write_text(json.dumps(SMALL))
    assert main(["convert", str(source), str(tmp_path / "p.json")]) == 0
    assert "no place for the alternatives of operators" in capsys.readouterr().err
    assert np.all(read_problem_file(tmp_path / "p.json").template.duration == [4, 3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSON"),
        ('{"operators": []}', "nodes are the operators"),
        ('{"cluster": {"devices": 1}}', "devices"),
        ('{"cluster": {"devices": []}, "memory": 1}', "memory"),
    ],
)
def test_a_damaged_rest_of_a_graph_file_is_named(text, message, tmp_path):
    import networkx as nx

    graph = nx.DiGraph(**{"parallelism-problem": text})
    graph.add_node("a", duration=1.0)
    nx.write_graphml(graph, tmp_path / "g.graphml")
    with pytest.raises(InputError, match=message):
        read_problem_file(tmp_path / "g.graphml")
