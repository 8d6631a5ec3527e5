"""Tables say the same as native files, and what is wrong in them is named."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.baselines.list_scheduling import heft
from planner_core.formats import parse_problem_file
from planner_core.formats.csv_tables import parse_problem, sniff
from planner_core.problem import InputError
from tests.formats.published_dag import EDGES, TIMES, as_tables, zipped

TABLE = b"""id;Duration;inputs;output_size;parameters;kind;stage
a;1.5;;4;7;forward;0
b;2;a;;;forward;1

c;3;a; ;;;
"""


def test_one_table_of_operators():
    problem = parse_problem_file(TABLE)
    graph = problem.template
    assert graph.duration.tolist() == [1.5, 2, 3]
    assert graph.stage.tolist() == [0, 1, -1]
    assert graph.size.tolist() == [4]
    assert graph.consumers_of(0).tolist() == [1, 2]
    assert graph.group_size.tolist() == [7]
    assert problem.n_devices == 4


def test_the_published_graph_and_its_schedule():
    problem = parse_problem_file(as_tables())
    graph = problem.template
    assert problem.durations.tolist() == [list(times) for times in TIMES.values()]
    assert len(graph.consumer) == len(EDGES)
    assert sorted(graph.size.tolist()) == sorted(size for _, _, size in EDGES)
    assert problem.transfer_time(0, 0, 1) == graph.size[0]
    assert heft(problem).makespan == pytest.approx(80)  # the paper's table


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_that_pandas_writes(separator):
    import pandas as pd

    frame = pd.DataFrame(
        {
            "id": ["conv 1", "relu", 'say "x"'],
            "duration": [1.5, 0.1 + 0.2, np.nan],
            "duration H100": [np.nan, np.nan, 2.0],
            "inputs": [None, "conv 1", "conv 1;relu"],
            "output_size": [4, 2.5, None],
            "stage": pd.array([0, 1, None], dtype="Int64"),
        }
    )
    graph = parse_problem(frame.to_csv(index=False, sep=separator).encode()).template
    assert graph.operator_ids.tolist() == ["conv 1", "relu", 'say "x"']
    assert graph.duration[:2].tolist() == [1.5, 0.1 + 0.2]
    assert graph.duration_by_type[2].tolist() == [2.0]
    assert graph.stage.tolist() == [0, 1, -1]
    edges = zip(graph.edge_source.tolist(), graph.edge_target.tolist(), strict=True)
    assert sorted(edges) == [(0, 1), (0, 2), (1, 2)]
    assert sorted(graph.size.tolist()) == [2.5, 4.0]


def test_tensors_groups_and_devices():
    data = zipped(
        operators="id,duration,parameters,devices\na,1,w;v,g0\nb,1,w,",
        tensors="id,producer,consumers,size,transfer,output\nt,a,b,2,0.5,\nu,b,,1,,yes",
        parameter_groups="id,size\nw,5\nv,6",
        devices="id,memory,speed,host\ng0,100,2,\ng1,,,true",
    )
    problem = parse_problem(data)
    graph, cluster = problem.template, problem.cluster
    assert graph.transfer[0] == 0.5
    assert graph.is_output.tolist() == [False, True]
    assert graph.group_size.tolist() == [5, 6]
    assert graph.groups_of(0).tolist() == [0, 1]
    assert graph.device_sets == (("g0",),)
    assert cluster.memory.tolist() == [100, np.inf]
    assert cluster.speed.tolist() == [2, 1]
    assert cluster.host.tolist() == [False, True]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"id,duration\na,\n", "operator 'a' has no duration"),
        (b"id,duration\na,one\n", "operator 'a' has duration 'one'"),
        (b"id,duration\na,-1\n", "operator 'a'"),
        (b"id,duration\na,nan\n", "finite"),
        (b"id,duration,stage\na,1,0.5\n", "stage '0.5'; it must be a whole number"),
        (b"id,duration,inputs\na,1,z\n", "'z', which does not exist"),
        (b"id,duration\n,1\n", "line 2 of the table operators has no id"),
        (b"id,duration\na,1,2\n", "line 2 of the table operators has 3 cells"),
        (b"id,duration,ID\na,1,b\n", "names a column twice"),
        (b"id,duration,kind\na,1,backwards\n", "backwards"),
        (zipped(operators="id,duration\na,1", edges="source,size\na,1"), "no column target"),
        (zipped(operators="name,duration\na,1"), "no column id"),
        (zipped(operators="id,duration\na,1", links="source,target\na,b"), "without devices.csv"),
        (
            zipped(
                operators="id,duration,inputs\na,1,\nb,1,a", edges="source,target\na,b"
            ),
            "given twice, by edges.csv and by the column inputs",
        ),
        (zipped(operators="id,duration\na,1", devices="id,host\ng,maybe"), "host 'maybe'"),
        (b"PK\x03\x04 operators.csv", "zip"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused_with_the_item(data, message):
    with pytest.raises(InputError, match=message):
        parse_problem(data)


def test_a_zip_that_grows_is_refused_before_it_is_unpacked():
    data = zipped(operators="id,duration\n" + "a,1\n" * 200_000)
    assert len(data) < 10_000
    with pytest.raises(InputError, match="MiB"):
        parse_problem(data, max_bytes=100_000)


def test_other_files_are_left_to_others():
    assert not sniff(b'{"id": 1, "duration": 2}')
    assert not sniff(b"name,value\n")
    assert not sniff(zipped(other="id,duration"))
    assert sniff(b'\xef\xbb\xbf"id","duration"\r\n')


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_tables_raise_input_errors_only(data):
    content = bytearray(data.draw(st.sampled_from([TABLE, as_tables()])))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        parse_problem(bytes(content))
