import os

import pytest

from planner_core.kernels import drop_stale_kernels

COMPILED, PLAIN = "from numba import njit\n", "import numpy\n"


@pytest.fixture
def package(tmp_path):
    cache = tmp_path / "search" / "__pycache__"
    cache.mkdir(parents=True)
    files = {
        tmp_path / "search" / "caller.py": (COMPILED, 100.0),
        tmp_path / "callee.py": (COMPILED, 100.0),
        tmp_path / "page.py": (PLAIN, 900.0),
        cache / "caller.run-1.py311.nbi": ("", 500.0),
        cache / "caller.run-1.py311.1.nbc": ("", 500.0),
    }
    for path, (text, when) in files.items():
        path.write_text(text, encoding="utf-8")
        os.utime(path, (when, when))
    return tmp_path


def test_compiled_code_stays_while_only_other_files_change(package):
    assert drop_stale_kernels(package) == 0
    assert list(package.rglob("*.nbi"))


def test_compiled_code_goes_when_what_it_calls_has_changed(package):
    os.utime(package / "callee.py", (600.0, 600.0))
    assert drop_stale_kernels(package) == 1
    assert not list(package.rglob("*.nbi"))
    assert drop_stale_kernels(package) == 0


def test_nothing_to_drop(tmp_path):
    assert drop_stale_kernels(tmp_path) == 0
