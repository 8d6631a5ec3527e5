import pytest

from planner_core.analysis.schedule_table import schedule_frame
from planner_core.analysis.table import HELP, Compared, rows
from planner_core.baselines import run_baseline
from planner_core.workloads import pipeline

PROBLEM = pipeline(4, 8, "bidirectional", memory=9)


def compared(name, **more):
    found = run_baseline(name, PROBLEM)
    return Compared(title=name, problem=found.problem, schedule=found.schedule, **more)


def test_differences_refer_to_the_chosen_entry():
    entries = [compared("1f1b"), compared("dualpipe-sequential", lower_bound=24.0)]
    first, second = rows(entries, reference=1)
    assert second["difference"] == 0
    assert first["difference"] == first["makespan"] - second["makespan"]
    assert second["gap"] == pytest.approx(100 * (second["makespan"] - 24) / second["makespan"])
    assert first["gap"] is None


def test_every_column_is_explained():
    assert set(rows([compared("1f1b")])[0]) - {"schedule"} == set(HELP)


def test_schedule_table_has_every_operator_once_in_order_of_time():
    found = run_baseline("1f1b", PROBLEM)
    frame = schedule_frame(found.problem, found.schedule)
    assert sorted(frame["operator"]) == sorted(found.problem.graph.operator_ids)
    assert frame["start"].is_monotonic_increasing
