"""Multimodal models, U-Nets, the DeepSeek layer pair and random graphs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.baselines.list_scheduling import earliest_start, list_schedules
from planner_core.problem import InputError
from planner_core.problem.hardware import MIB
from planner_core.schedule import validate
from planner_core.workloads import (
    LAYER_MS,
    deepseek_layer_pair,
    multimodal,
    random_layered,
    training,
    unet,
)


def ancestors(graph, name):
    found, waiting = set(), [graph.operator_index[name]]
    while waiting:
        o = waiting.pop()
        sources = graph.edge_source[graph.edge_target == o].tolist()
        waiting += [s for s in sources if s not in found]
        found.update(sources)
    return {str(graph.operator_ids[o]) for o in found}


def test_encoders_are_independent_until_the_joint_layers():
    graph = multimodal(2, 3, 1, hidden=64, heads=4).problem.template
    text = ancestors(graph, "text1.ffn.add")
    assert not any(name.startswith("image") for name in text)
    assert {"image2.ffn.add", "text1.ffn.add"} <= ancestors(graph, "loss")
    assert "image2.ffn.add" in ancestors(graph, "joint0.cross.kv")


def test_encoders_weigh_what_they_weigh():
    # ViT-L/16 has 304 M parameters (Dosovitskiy et al. 2020), BERT-large's encoder 302 M.
    graph = multimodal(24, 24, 1, hidden=1024, heads=16, vocabulary=30522).problem.template
    size = dict(zip(graph.group_ids.tolist(), graph.group_size * MIB / 2, strict=True))
    held = {
        part: sum(count for name, count in size.items() if name.startswith(part))
        for part in ("image", "text", "joint", "head")
    }
    assert held["image"] == 24 * 12 * 1024**2 + 3 * 16**2 * 1024
    assert held["image"] == pytest.approx(304e6, rel=0.01)
    assert held["text"] == 24 * 12 * 1024**2 + 30522 * 1024
    # A joint layer has self-attention, cross-attention and the feed-forward part: 4 + 4 + 8 h².
    assert held["joint"] == 16 * 1024**2
    assert held["head"] == 1000 * 1024


def test_cross_attention_by_hand():
    forward = multimodal(1, 1, 1, hidden=64, heads=4, text_sequence=8, image_sequence=32, batch=2)
    flops = dict(zip(forward.problem.template.operator_ids.tolist(), forward.flops, strict=True))
    assert flops["joint0.cross.q"] == 2 * 16 * 64 * 64
    assert flops["joint0.cross.kv"] == 2 * 64 * 64 * 128
    assert flops["joint0.cross.attention"] == 4 * 16 * 32 * 64  # every text token sees 32 patches
    assert flops["joint0.self.attention"] == 4 * 16 * 8 * 64
    assert flops["image.patches"] == 2 * 64 * 768 * 64


def test_skips_are_held_from_the_way_down_to_the_way_up():
    graph = unet(2, channels=4, resolution=8).problem.template
    sizes = dict(zip(graph.tensor_ids.tolist(), graph.size * MIB, strict=True))
    for level in range(2):
        skip = graph.tensor_index[f"down{level}.relu2"]
        users = {str(graph.operator_ids[o]) for o in graph.consumers_of(skip)}
        assert users == {f"down{level}.pool", f"up{level}.concat"}
        assert sizes[f"down{level}.relu2"] == 2 * (8 >> level) ** 2 * 4 * 2**level


def test_multimodal_trains_and_refuses_wrong_sizes():
    made = training(multimodal(1, 1, 1, hidden=64, heads=4), recompute=True)
    assert made.template.find_cycle() is None
    with pytest.raises(InputError, match="joint_layers is 0"):
        multimodal(joint_layers=0)


def test_unet_has_its_published_parameters_and_skips():
    # Ronneberger et al. 2015, table of common implementations: 31.0 M at 64 channels, 4 levels.
    forward = unet(4, channels=64, resolution=64, in_channels=1)
    graph = forward.problem.template
    assert graph.group_size.sum() * MIB / 2 == pytest.approx(31.0e6, rel=0.01)
    for level in range(4):
        direct = graph.edge_source[graph.edge_target == graph.operator_index[f"up{level}.concat"]]
        names = {str(graph.operator_ids[o]) for o in direct}
        assert names == {f"down{level}.relu2", f"up{level}.transpose"}


def test_unet_by_hand():
    forward = unet(1, channels=2, resolution=4, in_channels=3, classes=1)
    graph = forward.problem.template
    flops = dict(zip(graph.operator_ids.tolist(), forward.flops, strict=True))
    assert flops["down0.conv1"] == 2 * 9 * 3 * 2 * 16
    assert flops["bottom.conv1"] == 2 * 9 * 2 * 4 * 4
    assert flops["up0.transpose"] == 2 * 4 * 4 * 2 * 4  # every weight once per input pixel
    assert flops["up0.conv1"] == 2 * 9 * 4 * 2 * 16
    with pytest.raises(InputError, match="cannot be halved 3 times"):
        unet(3, resolution=20)
    with pytest.raises(InputError, match="batch is 0"):
        unet(batch=0)


def test_deepseek_layer_pair_can_hide_its_exchanges():
    problem = deepseek_layer_pair()
    graph = problem.graph
    assert graph.duration.sum() == pytest.approx(58.18)
    network = np.array([graph.stream_names[s] == "network" for s in graph.stream])
    assert graph.duration[network].sum() == pytest.approx(28.63)
    assert problem.is_placed
    # DeepSeek's own overlap of the pair measures 32.3.
    schedules = [schedule for _, schedule in list_schedules(problem)]
    assert min(schedule.makespan for schedule in schedules) <= 32.3
    assert all(not validate(problem, schedule) for schedule in schedules)


def test_deepseek_layers_chain_and_times_can_be_changed():
    three = deepseek_layer_pair(3).graph
    assert three.n_operators == 30
    assert "combine F1" in ancestors(three, "attention F2")
    assert "attention I1" in ancestors(three, "combine B0")
    assert not ancestors(three, "combine B2")
    doubled = deepseek_layer_pair(1, {key: 2 * value for key, value in LAYER_MS.items()})
    assert doubled.graph.duration.sum() == pytest.approx(2 * 58.18)
    with pytest.raises(InputError, match="'mlp F' is missing"):
        deepseek_layer_pair(1, {key: 1.0 for key in LAYER_MS if key != "mlp F"})
    with pytest.raises(InputError, match="layers is 0"):
        deepseek_layer_pair(0)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 60),
    seed=st.integers(0, 2**40),
    degree=st.floats(1, 5),
    reach=st.integers(1, 4),
    layers=st.integers(1, 10),
)
def test_random_graphs_are_layered_and_reproducible(n, seed, degree, reach, layers):
    layers = min(layers, n)
    problem, again = (
        random_layered(n, 3, seed=seed, degree=degree, reach=reach, layers=layers) for _ in range(2)
    )
    graph = problem.template
    assert graph.n_operators == n
    assert np.array_equal(graph.consumer, again.template.consumer)
    assert np.array_equal(graph.duration, again.template.duration)
    depth = np.zeros(n, dtype=int)
    for o in graph.topological_order:
        sources = graph.edge_source[graph.edge_target == o]
        depth[o] = 1 + depth[sources].max(initial=-1)
    # The longest path visits every layer once: each operator follows one of the layer before.
    assert depth.max() == layers - 1
    assert len(set(zip(graph.edge_source, graph.edge_target, strict=True))) == len(graph.consumer)
    assert earliest_start(problem).makespan > 0


def test_random_graphs_keep_to_their_ranges():
    problem = random_layered(200, seed=3, duration=(2, 3), size=(5, 6), weight=(1, 2), degree=3)
    graph = problem.template
    assert 2 <= graph.duration.min() <= graph.duration.max() <= 3
    assert 5 <= graph.size.min() <= graph.size.max() <= 6
    assert graph.n_groups == 200
    fed = np.unique(graph.edge_target)
    assert len(graph.consumer) / len(fed) == pytest.approx(3, rel=0.15)


@pytest.mark.parametrize(
    "wrong",
    [
        {"operators": 0},
        {"operators": 10**8},
        {"layers": 11},
        {"degree": 0.5},
        {"reach": 0},
        {"duration": (3, 2)},
        {"size": (0, np.inf)},
        {"kind": "sideways"},
    ],
)
def test_random_graphs_refuse_wrong_numbers(wrong):
    with pytest.raises(InputError):
        random_layered(**{"operators": 10, "seed": 1, **wrong})
