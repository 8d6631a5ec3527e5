import highspy
import pytest

from planner_core.problem import InputError, NotApplicable, Objective
from planner_core.problem.settings import Settings
from planner_core.search.export import FORMATS, export_model
from planner_core.workloads import pipeline, random_layered

PROBLEMS = [pipeline(3, 4, memory=3), random_layered(5, 2, seed=1, duration=(2.0, 2.0))]


def solved(data, ending, tmp_path):
    path = tmp_path / f"model.{ending}"
    path.write_bytes(data)
    highs = highspy.Highs()
    highs.silent()
    assert highs.readModel(str(path)) == highspy.HighsStatus.kOk
    highs.run()
    return highs.getModelStatus()


@pytest.mark.parametrize("problem", PROBLEMS, ids=["placed", "free"])
@pytest.mark.parametrize("ending", FORMATS)
def test_a_solver_finds_a_schedule_by_a_generous_horizon(problem, ending, tmp_path):
    assert (
        solved(export_model(problem, ending, horizon=40.0), ending, tmp_path)
        == highspy.HighsModelStatus.kOptimal
    )


def test_a_solver_proves_a_tight_horizon_empty(tmp_path):
    problem = pipeline(3, 5, memory=2, backward_input=2)  # bound 28, optimum 30
    data = export_model(problem, "mps", horizon=29.0)
    assert solved(data, "mps", tmp_path) == highspy.HighsModelStatus.kInfeasible


@pytest.mark.parametrize(
    ("problem", "arguments", "error", "words"),
    [
        (PROBLEMS[0], {"file_format": "gms"}, InputError, "lp, mps"),
        (PROBLEMS[0], {"horizon": -1.0}, InputError, "above 0"),
        (PROBLEMS[0], {"horizon": 5.0}, NotApplicable, "later horizon"),
        (pipeline(8, 200, forward=7, transfer=1), {}, InputError, "coefficients"),
        (
            Settings(minimize=(Objective(("transfer",)).primary,)).apply(PROBLEMS[1]),
            {},
            NotApplicable,
            "transfer",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_sentence(problem, arguments, error, words):
    with pytest.raises(error, match=words):
        export_model(problem, **arguments)
