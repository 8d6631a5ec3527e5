"""Whatever makes a problem impossible, the command line exits with 3 and names what to change."""

import json
import re

import pytest

from planner_core.cli import main
from planner_core.formats import read_problem_file
from planner_core.search import Options, plan

UNLIKE = [
    {"id": "big", "type": "A", "memory": 8.0},
    {"id": "small", "type": "B", "memory": 3.0},
]
FREE = [{"id": "big"}, {"id": "small"}]
SIXES = [{"id": "big", "memory": 6.0}, {"id": "small", "memory": 6.0}]
SIZES = {"w0": 9.0, "w1": 4.0, "w2": 4.0, "w3": 4.0}
CHAIN = [{"id": "t", "producer": "o1", "consumers": ["o2"], "size": 1.0}]


def operators(*numbers, **more):
    return [
        {"id": f"o{i}", "duration": 1.0, "parameters": [f"w{i}"], **more} for i in numbers
    ]  # fmt: skip


def pinned(**more):
    first, second = operators(1, 2, **more)
    return [first | {"devices": ["big"]}, second | {"devices": ["small"]}]


def document(ops, devices, tensors=(), links=None, objective=None):
    return {
        "format": "parallelism-problem/1",
        "operators": ops,
        "tensors": list(tensors),
        "parameter_groups": [{"id": name, "size": size} for name, size in SIZES.items()],
        "cluster": {"devices": devices} | ({} if links is None else {"links": links}),
        "objective": objective or {"minimize": "makespan"},
    }


def budget(minimize, **budgets):
    return {"minimize": minimize, "subject_to": budgets}


CASES = {
    "a device too small for any operator": (
        document(operators(0, 1), UNLIKE),
        "needs at least 9.*operator 'o0'.*its limit is 8.*no other device has room either",
    ),
    "all memory together too small": (
        document(operators(1, 2, 3), UNLIKE),
        "take 12 together; all devices have 11",
    ),
    "enough in sum, not in pieces": (
        document(operators(1, 2), [UNLIKE[0] | {"memory": 7.0}, UNLIKE[1]]),
        "memory limits",
    ),
    "pinned to a device too small": (
        document(operators(1, devices=["small"]), UNLIKE),
        "device 'small' needs at least 4.*its limit is 3",
    ),
    "colocation against limits": (
        document(operators(1, 2, 3, colocate="c"), UNLIKE),
        "colocation group 'c' needs at least 12.*8, of device 'big'",
    ),
    "colocation against allowed devices": (
        document(pinned(colocate="c"), UNLIKE),
        "colocation group 'c' have no device in common",
    ),
    "colocation against types": (
        document(
            [
                {"id": "a", "duration": {"A": 1.0}, "colocate": "c"},
                {"id": "b", "duration": {"B": 1.0}, "colocate": "c"},
            ],
            UNLIKE,
        ),
        "colocation group 'c' have no device in common",
    ),
    "no link": (
        document(pinned(), FREE, CHAIN, links=[]),
        "add a link from 'big' to 'small' or allow them a common device",
    ),
    "memory forces apart what no link joins": (
        document(operators(1, 2), SIXES, CHAIN, links=[]),
        "no placement and order keeps",
    ),
    "a makespan budget": (
        document(operators(1, 2), FREE, CHAIN, objective=budget("peak_memory", makespan=1.5)),
        "the budget for makespan is 1.5, 0.5 too little",
    ),
    "a period budget": (
        document(operators(1, 2), FREE, CHAIN, objective=budget("makespan", period=0.5)),
        "the budget for period is 0.5, 0.5 too little",
    ),
    "a transfer budget within the memory limits": (
        document(operators(1, 2), SIXES, CHAIN, objective=budget("makespan", transfer=0.5)),
        "the budget of 0.5 for transfer; without that limit there is a schedule",
    ),
    "a peak memory budget": (
        document(operators(1, 2), FREE, objective=budget("makespan", peak_memory=3.0)),
        "needs at least 4.*its limit is 3",
    ),
    "an operator's workspace": (
        document([{"id": "a", "duration": 1.0, "workspace": 20.0}], UNLIKE),
        "operator 'a' alone needs 20",
    ),
    "a tensor too large": (
        document(operators(1, 2), UNLIKE, [CHAIN[0] | {"size": 7.0}]),
        "operator 'o1' alone needs 11",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_to_blame_is_named(name, tmp_path, capsys):
    content, words = CASES[name]
    path = tmp_path / "p.json"
    path.write_text(json.dumps(content))
    code = main(["plan", str(path), "--time-limit", "20"])
    out, err = capsys.readouterr()
    assert code == 3, err
    assert out == ""
    assert re.search(words, err), err
    enough = re.search(r"with ([0-9.]+) MiB on every device it fits", err)
    if enough is not None and "peak_memory" not in content["objective"].get("subject_to", {}):
        problem = read_problem_file(path).with_memory(float(enough.group(1)))
        assert plan(problem, Options(time_limit=10.0)).schedule is not None


def test_the_nearest_limit_is_said_for_unlike_devices(tmp_path, capsys):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(CASES["all memory together too small"][0]))
    assert main(["plan", str(path), "--time-limit", "20"]) == 3
    assert "with 8 MiB on every device it fits" in capsys.readouterr().err


def test_a_proof_that_came_in_time_is_kept_if_looking_for_a_limit_takes_too_long(
    tmp_path, capsys, monkeypatch
):
    import time

    monkeypatch.setattr("planner_core.search.infeasible.nearest_memory", lambda *_: time.sleep(5.0))
    path = tmp_path / "p.json"
    path.write_text(json.dumps(CASES["pinned to a device too small"][0]))
    assert main(["plan", str(path), "--time-limit", "3"]) == 3
    assert "device 'small' needs at least 4" in capsys.readouterr().err
