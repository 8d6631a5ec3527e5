import numba
import numpy as np
from hypothesis import HealthCheck, given, settings

from planner_core.schedule.columns import colocated, columns_of
from planner_core.workloads.random_graphs import random_layered
from tests.strategies import problems

PROPERTY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(problems())
@PROPERTY
def test_the_columns_of_all_problems_have_one_type(problem):
    """Another type, such as of read-only arrays, would compile every search once more."""
    other = random_layered(12, 3, seed=1)
    assert numba.typeof(columns_of(problem)) == numba.typeof(columns_of(other))


@given(problems())
@PROPERTY
def test_colocated_operators_are_listed_group_by_group(problem):
    graph = problem.graph
    ptr, member = colocated(columns_of(problem))
    for group in range(len(graph.colocation_names)):
        found = member[ptr[group] : ptr[group + 1]].tolist()
        assert found == np.flatnonzero(graph.colocation == group).tolist()
