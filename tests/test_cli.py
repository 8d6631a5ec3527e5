"""The command line: what it writes and prints, exit codes, and never a traceback."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from planner_core import search, timed_search
from planner_core.cli import main
from planner_core.formats.native import read_problem, write_problem
from planner_core.formats.plan_file import write_plan
from planner_core.problem import InfeasibleError
from planner_core.schedule import Plan, simulate
from planner_core.search import every_choice
from planner_core.search.progress import Progress
from planner_core.workloads import pipeline


@pytest.fixture
def problem_file(tmp_path):
    path = tmp_path / "p.json"
    write_problem(pipeline(2, 1, memory=4), path)
    return path


def solved(problem, **changes) -> Plan:
    """Return the only sensible plan of a pipeline of two stages and one micro-batch."""
    names = problem.graph.operator_index
    order = [[names[name] for name in row.split()] for row in ("F0 I0 W0", "F1 I1 W1")]
    schedule = simulate(problem, problem.fixed_device, order)
    plan = Plan(
        problem=problem,
        status="optimal",
        schedule=schedule,
        value=schedule.makespan,
        lower_bound=schedule.makespan,
        proved_by="critical path",
        found_by="hand",
    )
    return replace(plan, **changes)


@pytest.fixture
def stub(monkeypatch):
    """Replace the search; returns the calls it got."""
    calls = []

    def install(answer):
        def plan(problem, options=None, on_progress=None, cancel=None):
            calls.append((problem, options, cancel))
            return answer(problem, on_progress, cancel)

        monkeypatch.setattr(search, "plan", plan)
        return calls

    return install


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err


# pipeline, convert, schema, samples


def test_pipeline_writes_what_the_flags_say(tmp_path, capsys):
    path = tmp_path / "p.json"
    code, out, _ = run(
        capsys,
        "pipeline",
        *("--devices", 4, "--micro-batches", 6, "--placement", "bidirectional"),
        *("--forward", "1,2,3,4", "--backward-input", 2, "--backward-weight", 1.5),
        *("--transfer", 0.5, "--memory", "9,8,7,6", "--weights", 0.25),
        *("--released-by-input", 0.6, "--activation", 2, "--name", "mine", "--output", path),
    )
    assert code == 0
    assert "72 operators" in out
    problem = read_problem(path)
    assert problem.name == "mine"
    assert problem.cluster.memory.tolist() == [9, 8, 7, 6]
    index = problem.graph.operator_index
    assert problem.graph.duration[[index["F1@0"], index["I1@0"], index["W1@0"]]].tolist() == [
        2,
        2,
        1.5,
    ]
    sizes = problem.graph.size[[problem.graph.tensor_index[t] for t in ("a1@0", "b1@0")]]
    assert sizes == pytest.approx([1.2, 0.8])
    assert problem.transfer_time(0, 0, 1) == 0.5
    assert problem.graph.group_size.tolist() == [0.25] * 4


def test_pipeline_interleaved_and_fused(tmp_path, capsys):
    path = tmp_path / "p.json"
    flags = ("--placement", "interleaved", "--chunks", 3, "--backward", 2, "--output", path)
    assert run(capsys, "pipeline", "--devices", 2, "--micro-batches", 4, *flags)[0] == 0
    problem = read_problem(path)
    assert problem.micro_batches == 4
    assert problem.template.n_operators == 12


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--devices", "0"], "devices is 0; it must be 1 or more"),
        (["--placement", "zigzag"], "placement is 'zigzag'; it must be one of linear"),
        (["--forward", "1,2"], "forward has 2 values; give one, or one per stage (3)"),
        (["--forward", "nan"], "'nan' must hold finite numbers"),
        (["--forward", "one"], "'one' is not a number or a comma-separated list"),
        (["--forward=-1"], "forward must be finite numbers, 0 or more"),
        (["--released-by-input", "1.5"], "released_by_input is a share"),
        (["--micro-batches", "900000000"], "at most 10000000 are supported"),
        (["--output", "/nowhere/p.json"], "cannot write '/nowhere/p.json'"),
        (["--colour", "red"], "unrecognized arguments: --colour red"),
    ],
)
def test_pipeline_bad_flags(flags, message, tmp_path, capsys):
    usual = ["--devices", "3", "--micro-batches", "2", "--output", str(tmp_path / "p.json")]
    code, _, err = run(capsys, "pipeline", *usual, *flags)
    assert code == 2
    assert message in err


def test_convert_writes_the_same_problem(problem_file, tmp_path, capsys):
    assert run(capsys, "convert", problem_file, tmp_path / "q.json")[0] == 0
    assert (tmp_path / "q.json").read_text() == problem_file.read_text()


@pytest.mark.parametrize("which", ["problem", "plan"])
def test_schema(which, capsys):
    code, out, _ = run(capsys, "schema", which)
    assert code == 0
    assert json.loads(out)["properties"]["format"]["const"] == f"parallelism-{which}/1"


# plan


def test_plan_prints_and_writes(problem_file, tmp_path, capsys, stub):
    calls = stub(lambda problem, tell, cancel: solved(problem))
    output = tmp_path / "plan.json"
    code, out, _ = run(
        capsys, "plan", problem_file, "--time-limit", 7, "--seed", 3, "--output", output
    )
    assert code == 0
    for text in ("optimal, proved", "makespan     5 ms", "lower bound  5 ms", "critical path"):
        assert text in out
    assert "idle share   40.00 %" in out
    assert "gpu1" in out
    _, options, _ = calls[0]
    assert 6 < options.time_limit <= 7
    assert options.seed == 3
    assert json.loads(output.read_text())["status"] == "optimal"
    assert run(capsys, "check", problem_file, output)[0] == 0


@pytest.mark.parametrize("command", ["plan", "compare"])
def test_the_merging_level_reaches_the_search(command, problem_file, capsys, stub):
    calls = stub(lambda problem, tell, cancel: solved(problem))
    flags = ("--merging", "heavy edges", "--merging-cap", 2.5)
    assert run(capsys, command, problem_file, *flags)[0] == 0
    assert (calls[0][1].merging, calls[0][1].merging_cap) == ("heavy edges", 2.5)
    code, _, err = run(capsys, command, problem_file, "--merging", "magic")
    assert code == 2
    assert "there is no merging 'magic'; use one of automatic, none" in err


def test_the_time_limit_counts_from_the_start_of_the_program(problem_file, capsys, stub):
    calls = stub(lambda problem, tell, cancel: solved(problem))
    main(["plan", str(problem_file), "--time-limit", "60"], started=time.monotonic() - 20)
    assert calls[0][1].time_limit < 40


def test_progress_is_told_in_plain_lines_where_there_is_no_terminal(problem_file, capsys, stub):
    def answer(problem, tell, cancel):
        tell(Progress(phase="bounds", elapsed=0.1, lower_bound=4.0))
        tell(Progress(phase="MIP", elapsed=0.5, incumbent=5.0, lower_bound=4.0))
        return solved(problem)

    stub(answer)
    _, _, err = run(capsys, "plan", problem_file)
    assert "0.1 s  bounds  bound 4\n" in err
    assert "0.5 s  MIP  best 5  bound 4  gap 20.00 %\n" in err
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"status": "feasible", "lower_bound": 4.0}, 0, "feasible"),
        (
            {"status": "infeasible", "schedule": None, "reason": "gpu0 needs at least 2"},
            3,
            "infeasible, proved: gpu0 needs at least 2",
        ),
        ({"status": "unknown", "schedule": None, "value": None}, 4, "no plan was found in time"),
    ],
)
def test_exit_codes_of_plans(changes, code, message, problem_file, capsys, stub):
    stub(lambda problem, tell, cancel: solved(problem, **changes))
    got, out, err = run(capsys, "plan", problem_file)
    assert got == code
    assert message in out + err


def test_proved_infeasible_by_an_error(problem_file, capsys, stub):
    def answer(problem, tell, cancel):
        raise InfeasibleError("device 'gpu0' needs at least 2")

    stub(answer)
    assert run(capsys, "plan", problem_file) == (
        3,
        "",
        "planner_core: device 'gpu0' needs at least 2\n",
    )


def test_a_fault_is_one_sentence(problem_file, capsys, stub):
    def answer(problem, tell, cancel):
        raise ZeroDivisionError("division by zero")

    stub(answer)
    code, _, err = run(capsys, "plan", problem_file)
    assert code == 70
    assert err.count("\n") == 1
    assert "not in your input: ZeroDivisionError: division by zero" in err


def test_settings_change_the_problem(problem_file, capsys, stub):
    calls = stub(lambda problem, tell, cancel: solved(problem))
    flags = ("--memory", "3,2", "--objective", "peak_memory,transfer", "--budget", "makespan=9")
    run(capsys, "plan", problem_file, *flags)
    problem = calls[0][0]
    assert problem.cluster.memory.tolist() == [3, 2]
    assert problem.objective.minimize == ("peak_memory", "transfer")
    assert dict(problem.objective.subject_to) == {"makespan": 9}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--memory", "1,2,3"], "--memory has 3 values; give one, or one per device (2)"),
        (["--memory=-1"], "device 'gpu0' has memory -1"),
        (["--objective", "cost"], "the objective names 'cost'; it must be one of makespan"),
        (["--objective", "makespan,"], "has an empty name between commas"),
        (["--budget", "period"], "'period' is not of the form makespan=70"),
        (["--budget", "makespan=3"], "'makespan' is both minimised and limited"),
        (["--budget", "period=nan"], "the budget for period is nan"),
        (["--time-limit", "0"], "'0' is not a number of seconds above 0"),
        (["--time-limit", "inf"], "'inf' is not a number of seconds"),
        (["--seed", "x"], "invalid int value"),
        (["--seed=-1"], "the seed is -1; it must lie between 0 and"),
    ],
)
def test_bad_settings(flags, message, problem_file, capsys, stub):
    stub(lambda problem, tell, cancel: solved(problem))
    code, _, err = run(capsys, "plan", problem_file, *flags)
    assert code == 2
    assert message in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"not json", "of no known kind"),
        (b"{}", "the file has no format"),
        (b"{", "the file is not JSON"),
    ],
)
def test_bad_files(content, message, tmp_path, capsys):
    path = tmp_path / "p"
    if content is not None:
        path.write_bytes(content)
    for command in (["plan"], ["compare"], ["baseline", "1f1b"]):
        code, _, err = run(capsys, *command, path)
        assert code == 2
        assert message in err
        assert err.startswith("planner_core: ")


def test_no_command_and_help(capsys):
    assert run(capsys)[0] == 2
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "Exit codes: 0 done" in " ".join(out.split())


# check


def test_check_lists_every_violation(problem_file, tmp_path, capsys):
    problem = read_problem(problem_file)
    path = tmp_path / "plan.json"
    write_plan(solved(problem), path)
    document = json.loads(path.read_text())
    document["makespan"] = 4.0
    document["operators"][0]["finish"] = 2.0
    path.write_text(json.dumps(document))
    code, out, err = run(capsys, "check", problem_file, path)
    assert code == 1
    assert "duration: operator 'F0'" in out
    assert "claim: the makespan is given as 4; it is 5" in out
    assert f"{out.count(chr(10))} violations" in err


def test_check_with_another_memory_limit(problem_file, tmp_path, capsys):
    path = tmp_path / "plan.json"
    write_plan(solved(read_problem(problem_file)), path)
    code, out, _ = run(capsys, "check", problem_file, path, "--memory", 0.5)
    assert code == 1
    assert "memory: device 'gpu0' holds 1" in out


# compare, baseline


def test_compare_names_who_does_not_fit(tmp_path, capsys, stub):
    path = tmp_path / "p.json"
    write_problem(pipeline(2, 1, memory=4), path)
    stub(lambda problem, tell, cancel: solved(problem))
    code, out, _ = run(capsys, "compare", path, "--with", "1f1b,interleaved-1f1b")
    assert code == 0
    header, _, plan, first, second = out.splitlines()[1:6]
    assert header.split()[:3] == ["schedule", "makespan", "bound"]
    assert plan.split()[:2] == ["plan", "5"]
    assert "1F1B" in first
    assert " no " in second


def test_compare_with_an_unknown_schedule(problem_file, capsys, stub):
    stub(lambda problem, tell, cancel: solved(problem))
    code, _, err = run(capsys, "compare", problem_file, "--with", "2f2b")
    assert code == 2
    assert "there is no baseline '2f2b'" in err


def test_baseline_prints_and_writes(tmp_path, capsys):
    path, output = tmp_path / "p.json", tmp_path / "plan.json"
    write_problem(pipeline(4, 8, backward=2, memory=4), path)
    code, out, _ = run(capsys, "baseline", "1f1b", path, "--output", output)
    assert code == 0
    assert "makespan    33 ms" in out
    assert run(capsys, "check", path, output)[0] == 0
    code, _, err = run(capsys, "baseline", "1f1b", path, "--memory", 3)
    assert code == 1
    assert "does not fit" in err


# the process


def _process(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "planner_core", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_reader_that_leaves_early_is_no_fault(problem_file):
    command = f"'{sys.executable}' -m planner_core schema | head -c 1 >/dev/null"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_first_interrupt_keeps_the_best_plan(problem_file, capsys, stub):
    def answer(problem, tell, cancel):
        os.kill(os.getpid(), signal.SIGINT)
        assert cancel.wait(30)
        return solved(problem, status="feasible", lower_bound=4.0)

    stub(answer)
    code, out, err = run(capsys, "plan", problem_file)
    assert code == 0
    assert "stopping; the best plan so far is kept" in err
    assert "makespan     5 ms" in out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert threading.active_count() < 20


def test_a_search_that_overruns_loses_nothing_it_told(problem_file, capsys, stub):
    released = threading.Event()

    def answer(problem, tell, cancel):
        plan = solved(problem)
        tell(Progress(phase="bounds", elapsed=0.0, lower_bound=4.0, proved_by="critical path"))
        tell(
            Progress(
                phase="MIP",
                elapsed=0.1,
                incumbent=5.0,
                lower_bound=4.0,
                schedule=plan.schedule,
                found_by="hand",
                proved_by="critical path",
            )
        )
        broken = replace(plan.schedule, start=plan.schedule.start - 1)
        tell(Progress(phase="MIP", elapsed=0.2, incumbent=4.0, schedule=broken))
        assert released.wait(60)
        return plan

    stub(answer)
    code, out, _ = run(capsys, "plan", problem_file, "--time-limit", 0.5)
    released.set()
    assert code == 0
    assert "feasible; better plans are not ruled out" in out
    assert "makespan     5 ms" in out
    assert "gap          20.00 %" in out


def test_a_late_first_schedule_is_waited_for(problem_file, capsys, stub):
    released = threading.Event()

    def answer(problem, tell, cancel):
        time.sleep(0.5)  # imports, say
        tell(Progress(phase="list", elapsed=0.5, schedule=solved(problem).schedule, incumbent=5.0))
        assert released.wait(60)
        return solved(problem)

    stub(answer)
    code, out, _ = run(capsys, "plan", problem_file, "--time-limit", 0.1)
    released.set()
    assert code == 0
    assert "makespan     5 ms" in out


def test_a_search_that_overruns_with_nothing_found(problem_file, capsys, stub, monkeypatch):
    monkeypatch.setattr(timed_search, "FIRST_SCHEDULE", 0.1)
    released = threading.Event()
    stub(lambda problem, tell, cancel: released.wait(60) and solved(problem))
    code, _, err = run(capsys, "plan", problem_file, "--time-limit", 0.3)
    released.set()
    assert code == 4
    assert "no plan was found in time" in err


def test_a_bad_file_from_a_fresh_process(tmp_path):
    process = _process("plan", tmp_path / "none.json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert err.count("\n") == 1


PIPER = {
    "maxDevices": 2,
    "maxMemoryPerDevice": 100.0,
    "bandwidth": 1.0,
    "nodes": [
        {
            "id": 0,
            "name": "layer",
            "TMPCs": {
                degree: [
                    {
                        "id": "vanilla",
                        "timePerSample": time,
                        "memoryUsageA": 1.0,
                        "memoryUsageB": 1.0,
                    }
                ]
                for degree, time in (("1", 8.0), ("2", 5.0))
            },
        }
    ],
    "edges": [],
}


def test_plan_of_a_file_with_alternatives_keeps_the_problem_it_chose(tmp_path, capsys):
    source, plan_file = tmp_path / "piper.json", tmp_path / "plan.json"
    source.write_text(json.dumps(PIPER))
    assert main(["plan", str(source), "--time-limit", "5", "--output", str(plan_file)]) == 0
    assert json.loads(plan_file.read_text())["objective"]["value"] == 5.0
    assert main(["check", str(tmp_path / "plan.problem.json"), str(plan_file)]) == 0


def test_a_late_answer_of_alternatives_is_the_best_choice_told_of(tmp_path, capsys, monkeypatch):
    """What a search of alternatives tells of are schedules of another problem."""
    monkeypatch.setattr(every_choice, "plan", lambda *_: threading.Event().wait(20))
    source, plan_file = tmp_path / "piper.json", tmp_path / "plan.json"
    source.write_text(json.dumps(PIPER))
    flags = ("--time-limit", "0.5", "--output", str(plan_file))
    assert main(["plan", str(source), *flags]) == 0
    assert json.loads(plan_file.read_text())["objective"]["value"] == 5.0
    assert main(["check", str(tmp_path / "plan.problem.json"), str(plan_file)]) == 0
