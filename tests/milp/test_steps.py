"""Building a model can be given up at any time, without a word on standard error."""

import pytest

from planner_core.milp.steps import ROW_BLOCK, BuildStopped, StepModel


def test_a_model_given_up_among_its_rows_reports_nothing(caplog, capfd):
    wanted = [True]
    steps = StepModel(lambda: not wanted[0])
    x, y = steps.binary(), steps.binary()
    for _ in range(2 * ROW_BLOCK + 1):
        steps.at_most([(1.0, x), (1.0, y)], 1.0)
    wanted[0] = False
    with pytest.raises(BuildStopped):
        steps.finish()
    assert not caplog.records
    assert capfd.readouterr().err == ""


def test_all_rows_are_in_the_model():
    steps = StepModel()
    x, y = steps.binary(), steps.binary()
    for _ in range(ROW_BLOCK + 3):
        steps.at_most([(1.0, x), (1.0, y)], 1.0)
    model = steps.finish()
    rows = sum(len(block) for block in (model.rows, model.component(f"rows{ROW_BLOCK}")))
    assert rows == ROW_BLOCK + 3
