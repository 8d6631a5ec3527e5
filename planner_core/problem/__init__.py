"""What a problem is: graph, cluster, objective; and what makes one valid."""

from planner_core.problem.build import build_cluster, build_graph
from planner_core.problem.checks import check_problem
from planner_core.problem.cluster import Cluster
from planner_core.problem.errors import InfeasibleError, InputError, NotApplicable, PlannerError
from planner_core.problem.graph import COMPUTE, KIND_CODE, KINDS, Graph, Operator
from planner_core.problem.objective import MEASURES, Objective
from planner_core.problem.problem import RELATIVE_TOLERANCE, Problem

__all__ = [
    "COMPUTE",
    "KINDS",
    "KIND_CODE",
    "MEASURES",
    "RELATIVE_TOLERANCE",
    "Cluster",
    "Graph",
    "InfeasibleError",
    "InputError",
    "NotApplicable",
    "Objective",
    "Operator",
    "PlannerError",
    "Problem",
    "build_cluster",
    "build_graph",
    "check_problem",
]
