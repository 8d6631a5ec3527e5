"""DOT gives the graph the tables give; what is wrong in it is named."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.formats import parse_problem_file
from planner_core.formats.dot import parse_problem, sniff
from planner_core.problem import InputError
from tests.formats.published_dag import as_dot, as_tables
from tests.formats.test_graphml import table

SMALL = b"""# a comment
// another
digraph "g" {
  node [kind="forward"];
  a [duration=1, stage=0];
  subgraph cluster_x { "b:1" [duration="2.5", parameters=10]; }
  a:east -> "b:1" [size=5];
  a -> c [size=5];
  c [time=3, kind=other];
}"""


def test_the_published_graph():
    assert table(parse_problem_file(as_dot())) == table(parse_problem_file(as_tables()))


def test_defaults_subgraphs_ports_and_quotes():
    graph = parse_problem(SMALL).template
    index = graph.operator_index
    assert set(index) == {"a", "b:1", "c"}
    assert graph.duration[[index["a"], index["b:1"], index["c"]]].tolist() == [1, 2.5, 3]
    assert graph.operator(index["b:1"]).kind == "forward"
    assert graph.operator(index["c"]).kind == "other"
    assert graph.group_size.tolist() == [10]
    assert graph.n_tensors == 1  # the same data goes to both


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"graph { a [duration=1]; b [duration=1]; a -- b }", "not directed"),
        (b"digraph { a [duration=1]; a -> b }", "operator 'b' has no duration"),
        (b"digraph { a [duration=1] ", "not DOT"),
        (b"digraph { a [duration=\xff] }", "not UTF-8"),
        (b"digraph {" + b"{" * 25 + b"}" * 25, "nests subgraphs 26 deep"),
        (
            b"digraph { a [duration=1]; b [duration=1]; "
            b"a -> b [tensor=t, size=1]; a -> c [tensor=t, size=2]; c [duration=1] }",
            "gives tensor 't' another size",
        ),
    ],
)
def test_bad_files_are_refused(data, message):
    with pytest.raises(InputError, match=message):
        parse_problem(data)


def test_a_graph_needs_no_name_and_labels_may_hold_braces():
    problem = parse_problem(b'digraph { a [duration=1, label="{{{{{{{{{x}"] { b [duration=2] } }')
    assert problem.name == "DOT"
    assert problem.template.operator_ids.tolist() == ["a", "b"]


def test_comments_are_read_in_one_way_only():
    # With a pattern that may try anew, thirty comments take minutes.
    assert not sniff(b"/**/" * 5000 + b"x")
    assert sniff(b"/**/" * 5000 + b"digraph {")


def test_a_file_that_networkx_writes_through_pydot():
    networkx = pytest.importorskip("networkx")
    graph = networkx.DiGraph(name="written elsewhere")
    graph.add_node("conv 1", duration=1.5, kind="forward")
    graph.add_node("b 2", duration=2, parameters=8.0)
    graph.add_edge("conv 1", "b 2", size=3)
    problem = parse_problem(networkx.nx_pydot.to_pydot(graph).to_string().encode())
    assert table(problem) == {("conv 1", "b 2", 3.0)}
    assert problem.template.duration.tolist() == [1.5, 2.0]
    assert problem.template.group_size.tolist() == [8.0]


def test_content_tells_the_kind():
    assert sniff(SMALL)
    assert sniff(b"/* x */ strict digraph{}")
    assert not sniff(b"id,duration\n")


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_files_raise_input_errors_only(data):
    content = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        parse_problem(bytes(content))
