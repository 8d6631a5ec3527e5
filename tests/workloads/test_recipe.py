import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_core.formats.native import problem_document
from planner_core.problem import NotApplicable
from planner_core.workloads import PLACEMENTS, pipeline, random_layered
from planner_core.workloads.recipe import pipeline_recipe, with_devices

NUMBERS = st.integers(0, 8).map(lambda n: n / 4)


@given(
    st.fixed_dictionaries(
        {
            "devices": st.integers(1, 4),
            "micro_batches": st.integers(1, 6),
            "placement": st.sampled_from(PLACEMENTS),
            "chunks": st.integers(1, 3),
            "forward": NUMBERS,
            "backward_input": NUMBERS,
            "backward_weight": NUMBERS,
            "transfer": NUMBERS,
            "released_by_input": st.sampled_from([0.0, 0.25, 1.0]),
            "weights": NUMBERS,
            "memory": st.none() | st.just(9.0),
        }
    )
)
def test_a_pipeline_is_recognised_and_made_again(settings):
    problem = pipeline(**settings, name="p")
    recipe = pipeline_recipe(problem)
    assert problem_document(recipe.make(name="p")) == problem_document(problem)


def test_devices_of_a_pipeline():
    assert problem_document(
        with_devices(pipeline(4, 6, "v", memory=9, name="p"), 3)
    ) == problem_document(pipeline(3, 6, "v", memory=9, name="p"))


@pytest.mark.parametrize(
    "problem",
    [random_layered(6, seed=1), pipeline(3, 4, forward=[1, 2, 1]), pipeline(2, 3, memory=[1, 2])],
)
def test_other_problems_have_no_recipe(problem):
    assert pipeline_recipe(problem) is None
    with pytest.raises(NotApplicable, match="no pipeline"):
        with_devices(problem, 3)
