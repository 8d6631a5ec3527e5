"""What actions mean in operators, and what they cost and hold."""

from __future__ import annotations

from planner_core.baselines.layout import lay_out, view_of
from planner_core.workloads.pipeline import pipeline


def layout_of(problem, routes):
    return lay_out(problem, view_of(problem), routes)


def ids(layout, operators):
    return [layout.problem.graph.operator_ids[o] for o in operators]


def test_a_virtual_stage_runs_its_stages_forward_up_and_backward_down():
    layout = layout_of(pipeline(2, 2, "v"), [[0, 1]])
    assert layout.own_placement
    assert ids(layout, layout.operators(("F", 0, 1))) == ["F0@1", "F1@1"]
    assert ids(layout, layout.operators(("I", 1, 0))) == ["I3@0", "I2@0"]
    assert ids(layout, layout.operators(("B", 0, 0))) == ["I1@0", "W1@0", "I0@0", "W0@0"]


def test_a_whole_backward_is_a_block_and_a_pair_is_one_too():
    layout = layout_of(pipeline(1, 2), [[0]])
    rows = [[("F", 0, 0), (("F", 0, 1), ("B", 0, 0)), ("B", 0, 1)]]
    order, pairs = layout.order(rows)
    named = [ids(layout, entry if isinstance(entry, tuple) else (entry,)) for entry in order[0]]
    assert named == [["F0@0"], ["F0@1", "I0@0", "W0@0"], ["I0@1", "W0@1"]]
    assert pairs == {order[0][1]}


def test_a_fused_backward_is_no_block():
    layout = layout_of(pipeline(1, 1, backward=2.0), [[0]])
    order, pairs = layout.order([[("F", 0, 0), ("B", 0, 0)]])
    assert all(isinstance(entry, int) for entry in order[0])
    assert not pairs


def test_costs_lags_and_holdings_are_those_of_the_problem():
    problem = pipeline(
        2,
        3,
        forward=[1, 2],
        backward_input=3,
        backward_weight=4,
        transfer=0.5,
        activation=10,
        released_by_input=0.3,
    )
    layout = layout_of(problem, [[0, 1]])
    assert layout.cost("F", 1, 2) == 2
    assert layout.cost("I", 0, 0) == 3
    assert layout.cost("W", 1, 1) == 4
    assert layout.lags == {("F", 0, 0): 0.5, ("I", 1, 0): 0.5}
    assert layout.holdings["F", 0, 0] == (10, 0)
    assert layout.holdings["I", 0, 0] == (0, 3)
    assert layout.holdings["W", 0, 0] == (0, 7)
