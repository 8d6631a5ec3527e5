import subprocess
import sys

import pytest

import planner_core


@pytest.mark.parametrize("name", planner_core.__all__)
def test_every_public_name_is_there(name):
    assert getattr(planner_core, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        planner_core.nothing_of_the_kind  # noqa: B018


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, planner_core; "
        "print([m for m in ('numba', 'pyomo', 'streamlit', 'pandas') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_core_never_imports_streamlit():
    code = (
        "import sys, pkgutil, importlib, planner_core; "
        "[importlib.import_module(m.name) for m in "
        "pkgutil.walk_packages(planner_core.__path__, 'planner_core.') "
        "if not m.name.endswith('__main__')]; "
        "print('streamlit' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
