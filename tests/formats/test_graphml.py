"""GraphML and DOT give the graph the tables give; what is wrong in them is named."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.formats import parse_problem_file
from planner_core.formats.graphml import parse_problem
from planner_core.problem import InputError
from tests.formats.published_dag import TIMES, as_graphml, as_tables

HEAD = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
KEY = '<key id="d" for="node" attr.name="duration" attr.type="double"/>'
NODE = '<node id="a"><data key="d">1.5</data></node>'


def file(body, key=KEY, edges="directed", before=""):
    return f'{before}{HEAD}{key}<graph edgedefault="{edges}">{body}</graph></graphml>'.encode()


def table(problem):
    graph = problem.template
    return {
        (graph.operator_ids[a], graph.operator_ids[b], float(graph.size[t]))
        for t, a, b in zip(graph.edge_tensor, graph.edge_source, graph.edge_target, strict=True)
    }


def test_the_published_graph():
    problem, wanted = parse_problem_file(as_graphml()), parse_problem_file(as_tables())
    assert table(problem) == table(wanted)
    assert problem.cluster.device_types == ("P1", "P2", "P3", "P1")
    assert problem.durations[:, :3].tolist() == [list(times) for times in TIMES.values()]


def test_small_file_and_number_of_devices():
    problem = parse_problem(file(NODE), devices=2)
    assert problem.template.duration.tolist() == [1.5]
    assert problem.n_devices == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (file(NODE, edges="undirected"), "not directed"),
        (file('<node id="a"/>'), "operator 'a' has no duration"),
        (file(NODE, before="<!DOCTYPE a []>"), "document type or entities"),
        (file(NODE + '<edge source="a" target="a"/>'), "consumed by its own producer"),
        (file('<node id="a"><data key="x">1</data></node>'), "not GraphML"),
        (file('<node id="a"><data key="d">one</data></node>'), "not GraphML"),
        (HEAD.encode(), "not GraphML"),
        (file(NODE).replace(b"1.5", b"\xff"), "not UTF-8"),
    ],
)
def test_bad_files_are_refused(data, message):
    with pytest.raises(InputError, match=message):
        parse_problem(data)


def test_an_encoding_that_hides_a_document_type_is_no_way_in():
    hidden = (
        '<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a +AFsAXQA+-' + file(NODE).decode()
    )
    with pytest.raises(InputError):
        parse_problem(hidden.encode())


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_files_raise_input_errors_only(data):
    content = bytearray(data.draw(st.sampled_from([file(NODE), as_graphml()])))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        parse_problem(bytes(content))
