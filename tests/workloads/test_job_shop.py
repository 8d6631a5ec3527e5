"""Job shops: what is read, what is refused."""

import pytest

from planner_core.problem import InputError
from planner_core.workloads import job_shop, parse_job_shop
from planner_core.workloads.samples import FT06, LA01


def machine_loads(problem):
    loads = [0.0] * problem.n_devices
    for o, k in enumerate(problem.fixed_device):
        loads[k] += problem.durations[o, k]
    return loads


def test_steps_are_chains_on_fixed_machines():
    problem = job_shop([[(0, 3), (1, 2)], [(1, 4)]])
    graph = problem.graph
    assert graph.operator_ids.tolist() == ["j0.0", "j0.1", "j1.0"]
    assert problem.fixed_device.tolist() == [0, 1, 1]
    assert graph.duration.tolist() == [3, 2, 4]
    edges = zip(graph.edge_source.tolist(), graph.edge_target.tolist(), strict=True)
    assert list(edges) == [(0, 1)]
    assert problem.transfer_time(0, 0, 1) == 0


def test_the_classic_instances_have_their_known_loads():
    # The largest machine load of la01 is its optimum; job 1 alone takes 47 in ft06.
    la01, ft06 = parse_job_shop(LA01), parse_job_shop(FT06)
    assert (la01.graph.n_operators, la01.n_devices) == (50, 5)
    assert max(machine_loads(la01)) == 666
    assert (ft06.graph.n_operators, ft06.n_devices) == (36, 6)
    assert sum(ft06.graph.duration[6:12]) == 47
    for problem in (la01, ft06):
        visits = problem.fixed_device.reshape(-1, problem.n_devices)
        assert all(sorted(row) == list(range(problem.n_devices)) for row in visits.tolist())


def test_comments_before_the_sizes_are_skipped():
    assert parse_job_shop("instance x\n+++\n 1 2\n 0 3 1 4\n").graph.n_operators == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no line with the numbers of jobs and machines"),
        ("2 2\n0 1 1 1", "has 1 lines of jobs; it announces 2"),
        ("1 2\n0 1 1", "job 0 has 3 numbers"),
        ("1 2\n0 1 2 1", "job 0 names machine 2; machines are numbered 0 to 1"),
        ("1 2\n0.5 1", "job 0 names machine 0.5"),
        ("1 2\n0 one", "job 0 holds something that is not a number: '0 one'"),
        ("1 2\n0 -1", "operator 'j0.0' has duration -1"),
        ("0 2\n", "the job shop has no jobs; add at least one"),
    ],
)
def test_messages(text, message):
    with pytest.raises(InputError, match=message):
        parse_job_shop(text)


def test_a_negative_machine():
    with pytest.raises(InputError, match="job 0 names machine -1; number machines from 0"):
        job_shop([[(-1, 2)]])
