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


@pytest.mark.parametrize("named_keys", [False, True])
@pytest.mark.parametrize("multi", [False, True])
def test_files_that_networkx_writes_in_its_several_ways(named_keys, multi):
    import io

    import networkx as nx

    graph = nx.MultiDiGraph() if multi else nx.DiGraph()
    graph.add_node(1, duration=2, kind="forward", stage=0)
    graph.add_node("b", duration=1.5, label="ignored", parameters=4)
    graph.add_edge(1, "b", weight=3)
    if multi:
        graph.add_edge(1, "b", size=5.5)
    out = io.BytesIO()
    nx.write_graphml(graph, out, named_key_ids=named_keys, infer_numeric_types=True)
    problem = parse_problem(out.getvalue())
    assert table(problem) == {("1", "b", 3.0)} | ({("1", "b", 5.5)} if multi else set())
    assert problem.template.duration.tolist() == [2.0, 1.5]
    assert problem.template.group_size.tolist() == [4.0]


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
