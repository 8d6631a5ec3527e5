"""Alternatives of operators: the best of all choices on tiny problems, a real Piper file."""

import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from planner_core.bounds import Bound
from planner_core.bounds.alternatives import split_bound
from planner_core.formats.piper import parse_alternatives
from planner_core.milp.driver import compile_model, solve
from planner_core.milp.split_load import SplitLoadModel
from planner_core.problem import Objective, Problem, build_cluster, build_graph
from planner_core.problem.alternatives import Alternative, SplitProblem
from planner_core.schedule import Plan, simulate, validate
from planner_core.schedule.measures import period
from planner_core.search import Cancellation, Options, choice_search, plan
from planner_core.search.alternatives import FEW_CHOICES, plan_split
from planner_core.search.choices import BestOfChoices, count_choices
from planner_core.search.infeasible import why_infeasible
from planner_core.search.split_proof import SplitProof
from planner_core.search.state import Clock
from tests.brute_force import placements, shorter_schedule

PIPER = Path(__file__).parents[3] / "shared" / "reference" / "piper_bert32_a100.json"
LIMIT = Options(time_limit=8.0)
LONGEST, MOST = 9.0, 5
"""Longest makespan and most operators that brute force is asked about."""


def split_chain(objective: str, *, memory: float | None = None) -> SplitProblem:
    """Three operators in a row on two devices; the second is long and may be split in two."""
    problem = Problem(
        template=build_graph(
            [
                {"id": "a", "duration": 2.0},
                {"id": "b", "duration": 8.0, "parameters": ["w"]},
                {"id": "c", "duration": 2.0},
            ],
            [
                {"id": "ab", "producer": "a", "consumers": ["b"], "size": 1.0},
                {"id": "bc", "producer": "b", "consumers": ["c"], "size": 1.0},
            ],
            [{"id": "w", "size": 6.0}],
        ),
        cluster=build_cluster([{"id": f"d{k}", "memory": memory} for k in range(2)]),
        objective=Objective((objective,)),
    )
    ways = {
        "b": [
            Alternative(id="whole", duration=8.0),
            Alternative(id="halves", duration=4.5, shards=2, collective=0.25),
        ],
        "c": [Alternative(id="fast", duration=2.0), Alternative(id="slow", duration=3.0)],
    }
    return SplitProblem(problem=problem, alternatives=ways)


@pytest.mark.parametrize("objective", ["makespan", "period"])
def test_the_best_of_all_choices_is_found(objective):
    split = split_chain(objective)
    best = min(
        plan(split.expand({"b": b, "c": c}), LIMIT).value
        for b, c in product(("whole", "halves"), ("fast", "slow"))
    )
    found = plan_split(split, LIMIT)
    assert found.plan.value == best
    assert found.choice == {"b": "halves", "c": "fast"}
    assert not validate(found.plan.problem, found.plan.schedule)
    assert found.plan.status == "optimal"
    assert found.plan.lower_bound == best


def test_an_operator_is_split_where_its_weights_do_not_fit():
    split = split_chain("transfer", memory=6.0)
    found = plan_split(split, LIMIT)
    assert found.choice["b"] == "halves"
    assert not validate(found.plan.problem, found.plan.schedule)
    assert plan_split(split_chain("transfer", memory=9.0), LIMIT).choice["b"] == "whole"


def test_no_choice_has_a_schedule():
    found = plan_split(split_chain("period", memory=1.0), LIMIT)
    assert found.plan.status == "infeasible"
    assert "none of the 4 choices of alternatives has a schedule" in found.plan.reason


def test_the_bound_holds_for_every_choice():
    split = split_chain("period")
    bound = split_bound(split).value
    assert bound == pytest.approx(12.0 / 2)
    for b, c in product(("whole", "halves"), ("fast", "slow")):
        assert plan(split.expand({"b": b, "c": c}), LIMIT).value >= bound


def test_one_choice_keeps_its_proof():
    split = split_chain("period")
    single = SplitProblem(problem=split.problem, alternatives={"b": [split.alternatives["b"][0]]})
    assert plan_split(single, LIMIT).plan.status == "optimal"


TIMES = st.sampled_from([0.0, 1.0, 2.0, 3.0, 5.0])
SIZES = st.sampled_from([0.0, 1.0, 2.0, 4.0])


@st.composite
def splits(draw, objective):
    """Up to four operators on up to three devices, two or three of them with alternatives."""
    devices, n = draw(st.integers(2, 3)), draw(st.integers(2, 4))
    staged = draw(st.booleans())
    kinds = st.sampled_from(["A", "B"])
    operators = [
        {"id": f"o{i}", "duration": draw(TIMES), "parameters": [f"w{i % 2}"]} for i in range(n)
    ]
    if draw(st.booleans()):
        operators[0]["colocate"] = operators[-1]["colocate"] = "together"
    tensors = [
        {
            "id": f"t{i}",
            "producer": f"o{i}",
            "consumers": [f"o{c}" for c in range(i + 1, n) if c == i + 1 or draw(st.booleans())],
            "size": draw(SIZES),
            **({"transfer": draw(TIMES)} if draw(st.booleans()) else {}),
        }
        for i in range(n - 1)
    ]
    # Brute force would try all orders that lack memory.
    memory = None if objective == "makespan" else draw(st.sampled_from([None, None, 8.0]))
    problem = Problem(
        template=build_graph(operators, tensors, [{"id": f"w{g}", "size": 4.0} for g in range(2)]),
        cluster=build_cluster(
            [{"id": f"d{k}", "type": draw(kinds), "memory": memory} for k in range(devices)],
            {"default": {"latency": draw(TIMES), "bandwidth": draw(st.sampled_from([None, 1.0]))}},
            "staged" if staged else "overlapped",
        ),
        objective=Objective((objective,)),
    )
    alternatives = {}
    for i in draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=2)):
        own = [row for row in tensors if row["producer"] == f"o{i}" or f"o{i}" in row["consumers"]]
        gathered = {row["id"]: 1.0 for row in own if "transfer" in row and draw(st.booleans())}
        alternatives[f"o{i}"] = [
            Alternative(id="whole", duration=operators[i]["duration"]),
            Alternative(
                id="halves",
                shards=2,
                duration=draw(st.sampled_from([1.0, 2.0, {"A": 1.0, "B": 2.0}])),
                collective=draw(st.sampled_from([0.0, 1.0])),
                gather=gathered,
            ),
        ]
    return SplitProblem(problem=problem, alternatives=alternatives)


def every_choice(split):
    """Yield each choice and its problem."""
    names = list(split.alternatives)
    for ids in product(*([way.id for way in split.alternatives[name]] for name in names)):
        choice = dict(zip(names, ids, strict=True))
        yield choice, split.expand(choice)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(split=splits("period"))
def test_the_mip_over_all_alternatives_is_a_bound_and_often_the_optimum(split):
    best = np.inf
    for _, problem in every_choice(split):
        if why_infeasible(problem) is None:
            for device in placements(problem):
                best = min(best, assigned_period(problem, device))
    high = 100.0
    model = compile_model(SplitLoadModel(split, high, 0.0, lambda: False).model)
    result = solve(model, deadline=time.monotonic() + 20, presolve=True)
    assert result.status in ("optimal", "infeasible")
    assert result.bound * high <= best + 1e-4
    if np.isfinite(best):
        assert result.status == "optimal"


def assigned_period(problem, device):
    """Busiest stream of a placement; inf if parameters do not fit."""
    graph = problem.graph
    rows = [[] for _ in range(problem.n_devices)]
    for o in graph.topological_order.tolist():
        rows[device[o]].append(o)
    for k, row in enumerate(rows):
        held = {g for o in row for g in graph.groups_of(o).tolist()}
        if sum(graph.group_size[g] for g in held) > problem.cluster.memory[k]:
            return np.inf
    return period(problem, simulate(problem, device, rows))


@pytest.mark.parametrize("objective", ["makespan", "period", "peak_memory", "transfer"])
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_bounds_over_all_choices_hold_for_each(objective, data):
    split = data.draw(splits(objective))
    bound = split_bound(split).value
    for _, problem in every_choice(split):
        found = plan(problem, Options(time_limit=1.0))
        if found.value is not None:
            assert bound <= found.value * (1 + 1e-9) + 1e-9


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(split=splits("makespan"))
def test_brute_force_finds_no_better_choice_than_an_optimal_one(split):
    found = plan_split(split, Options(time_limit=10.0)).plan
    assume(found.value <= LONGEST)
    for _, problem in every_choice(split):
        if problem.graph.n_operators <= MOST and found.status == "optimal":
            assert shorter_schedule(problem, found.value) is None
        elif found.status == "feasible":
            assert found.lower_bound <= plan(problem, LIMIT).value * (1 + 1e-9)


def wide_split():
    """Eight operators with three ways each: too many choices to plan each."""
    operators = [{"id": f"o{i}", "duration": 6.0 if i < 3 else 2.0} for i in range(8)]
    tensors = [
        {"id": f"t{i}", "producer": f"o{i}", "consumers": [f"o{i + 1}"], "transfer": 0.0}
        for i in range(7)
    ]
    problem = Problem(
        template=build_graph(operators, tensors),
        cluster=build_cluster([{"id": f"d{k}"} for k in range(3)]),
        objective=Objective(("period",)),
    )
    ways = {
        row["id"]: [
            Alternative(id="whole", duration=row["duration"]),
            Alternative(id="two", duration=row["duration"] / 2 + 0.5, shards=2),
            Alternative(id="three", duration=row["duration"] / 3 + 1.0, shards=3),
        ]
        for row in operators
    }
    return SplitProblem(problem=problem, alternatives=ways)


def test_many_choices_are_proved_by_the_mip():
    found = plan_split(wide_split(), Options(time_limit=20.0))
    assert not validate(found.plan.problem, found.plan.schedule)
    # 28 units of work on three devices: 9 1/3 whole, and whole operators make 10.
    assert found.plan.value == pytest.approx(10.0)
    assert found.plan.status == "optimal"


@pytest.mark.skipif(not PIPER.exists(), reason="the Piper file is not here")
def test_a_piper_file_is_planned_no_worse_than_unsplit():
    split = parse_alternatives(PIPER.read_bytes())
    whole = plan(split.problem, Options(time_limit=5.0))
    found = plan_split(split, Options(time_limit=15.0))
    # Neither search is exact: what no layer's split improves may differ in the last per cent.
    assert found.plan.value <= whole.value * 1.01
    assert found.plan.lower_bound >= split_bound(split).value
    assert set(found.choice) == set(split.alternatives)
    assert not validate(found.plan.problem, found.plan.schedule)


def test_the_least_of_all_choices_knows_that_fast_ways_exchange():
    """Two halves of 4.5 and an exchange of 5 are slower than the whole of 8."""
    split = split_chain("makespan")
    ways = {
        "b": [
            Alternative(id="whole", duration=8.0),
            Alternative(id="halves", duration=4.5, shards=2, collective=5.0),
        ]
    }
    slow = SplitProblem(problem=split.problem, alternatives=ways)
    assert split_bound(slow).value == pytest.approx(2 + 8 + 2)
    assert split_bound(split).value == pytest.approx(2 + 4.75 + 2)


def listed_split():
    """A row of six operators with three ways each: more choices than are planned one by one."""
    names = [f"o{i}" for i in range(6)]
    problem = Problem(
        template=build_graph(
            [{"id": name, "duration": 2.0} for name in names],
            [{"id": f"t{i}", "producer": names[i], "consumers": [names[i + 1]]} for i in range(5)],
        ),
        cluster=build_cluster([{"id": f"d{k}"} for k in range(3)]),
    )
    ways = [
        Alternative(id="whole", duration=2.0),
        Alternative(id="two", duration=1.25, shards=2, collective=0.5),
        Alternative(id="three", duration=1.5, shards=3, collective=1.0),
    ]
    return SplitProblem(problem=problem, alternatives=dict.fromkeys(names, ways))


def test_choices_that_can_be_listed_are_proved():
    split = listed_split()
    assert count_choices(split) > FEW_CHOICES
    found = plan_split(split, Options(time_limit=20.0))
    assert found.plan.value == pytest.approx(6 * 1.75)
    assert (found.plan.status, set(found.choice.values())) == ("optimal", {"two"})


def test_bounds_of_all_choices_are_a_proof_without_one_over_them(monkeypatch):
    """Every choice has been looked at, and none that is open is better."""
    monkeypatch.setattr(choice_search, "split_bound", lambda split: Bound(0.0, "nothing"))
    monkeypatch.setattr(SplitProof, "_plan_least", lambda proof: None)
    found = plan_split(listed_split(), Options(time_limit=40.0))
    assert found.plan.status == "optimal"
    assert found.plan.lower_bound == pytest.approx(6 * 1.75)


def test_a_few_split_operators_are_spread_over_the_graph():
    split = wide_split()
    clock = Clock.start(10.0)
    told = BestOfChoices(split, clock, None)
    chooser = choice_search.ChoiceSearch(split, Options(), clock, told, Cancellation())
    tried = [
        [name for name, way in choice.items() if way == "two"] for choice in chooser._few_split()
    ]
    # Three of the eight are heavy: the middle one first, then the first and the last.
    assert ["o1"] in tried
    assert ["o0", "o2"] in tried
    assert ["o0", "o1", "o2"] in tried


def test_what_is_told_of_only_improves_and_carries_its_problem():
    events = []
    found = plan_split(wide_split(), Options(time_limit=5.0), events.append)
    values = [np.inf if e.incumbent is None else e.incumbent for e in events]
    assert values == sorted(values, reverse=True)
    bounds = [e.lower_bound for e in events]
    assert bounds == sorted(bounds)
    told = [e for e in events if e.schedule is not None]
    assert all(not validate(e.problem, e.schedule) for e in told)
    assert told[-1].incumbent == pytest.approx(found.plan.value)


def test_choosing_goes_on_while_what_was_chosen_is_proved_early(monkeypatch):
    """Time that planning does not need goes back into choosing; nothing is planned twice."""
    split, ends, planned = wide_split(), [], []

    def stand(chooser):
        chooser._judge(chooser.best)
        ends.append(chooser.clock.deadline)
        time.sleep(chooser.clock.remaining)

    def plan_at_once(problem, *_):
        planned.append(tuple(problem.template.operator_ids))
        return Plan(problem=problem, status="infeasible", reason="made up")

    monkeypatch.setattr(choice_search.ChoiceSearch, "run", stand)
    monkeypatch.setattr(choice_search, "plan", plan_at_once)
    monkeypatch.setattr(SplitProof, "_assign", lambda proof: None)
    clock = Clock.start(3.0)
    told = BestOfChoices(split, clock, None)
    choice_search.search_choices(split, Options(), clock, told, Cancellation())
    assert len(ends) > 1
    assert ends == sorted(ends)
    assert len(planned) == len(set(planned))
