"""The published JSON Schemas say what the validation does."""

import json
from typing import get_args

import pytest

from planner_core.formats.schema import Kind, Measure, json_schema
from planner_core.problem import KINDS, MEASURES


@pytest.mark.parametrize("which", ["problem", "plan"])
def test_every_object_refuses_unknown_keys(which):
    schema = json.loads(json_schema(which))
    objects = [schema, *schema["$defs"].values()]
    records = [o for o in objects if "properties" in o]
    assert records
    assert all(o["additionalProperties"] is False for o in records)


def test_the_schema_names_the_kinds_and_measures_of_the_problem_model():
    assert get_args(Kind) == KINDS
    assert get_args(Measure) == MEASURES
    text = json_schema("problem")
    assert all(f'"{kind}"' in text for kind in KINDS)


def test_required_keys():
    schema = json.loads(json_schema("problem"))
    assert schema["required"] == ["format", "operators", "cluster"]
    assert schema["properties"]["format"]["const"] == "parallelism-problem/1"
