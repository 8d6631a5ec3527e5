"""Transformers: FLOPs, parameters and memory agree with the literature's rules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.problem import InputError
from planner_core.problem.clusters import mixed
from planner_core.problem.hardware import MIB, CostModel
from planner_core.workloads import training, transformer

GPT = {"layers": 12, "hidden": 768, "heads": 12, "sequence": 1024, "vocabulary": 50257}


def training_flops(forward):
    return float(
        forward.flops @ (1 + forward.backward_input + forward.backward_weight)
        - forward.flops @ (forward.backward_input * ~has_producer(forward))
    )


def has_producer(forward):
    graph = forward.problem.template
    return np.isin(np.arange(graph.n_operators), graph.edge_target)


def parameters(forward):
    return forward.problem.template.group_size.sum() * MIB / 2


def stream(forward, name):
    graph = forward.problem.template
    return [graph.stream_names[s] for s, o in zip(graph.stream, graph.operator_ids, strict=True)
            if name in o]  # fmt: skip


def test_gpt2_small_has_its_parameters():
    # Radford et al. 2019: 124 M with the tied embedding, 0.8 M of them positions and norms.
    assert parameters(transformer(**GPT, tied=True)) == pytest.approx(124e6, rel=0.01)


@pytest.mark.parametrize(
    ("layers", "hidden", "heads", "sequence", "vocabulary", "published"),
    [
        (24, 1024, 16, 512, 30522, 340e6),  # BERT-large, Devlin et al. 2018
        (24, 1024, 16, 1024, 50257, 355e6),  # GPT-2 medium, as OpenAI counts
        (48, 1600, 25, 1024, 50257, 1.56e9),  # GPT-2 XL
        (96, 12288, 96, 2048, 50257, 175e9),  # GPT-3, Brown et al. 2020, table 2.1
    ],
)
def test_published_models_have_their_parameters(
    layers, hidden, heads, sequence, vocabulary, published
):
    forward = transformer(layers, hidden, heads, sequence, vocabulary, tied=True)
    assert parameters(forward) == 12 * layers * hidden**2 + vocabulary * hidden
    assert parameters(forward) == pytest.approx(published, rel=0.025)


def test_flops_of_every_product_by_hand():
    h, s, batch, vocabulary = 64, 32, 3, 500
    tokens = batch * s
    forward = transformer(1, h, 4, s, vocabulary, batch=batch)
    flops = dict(zip(forward.problem.template.operator_ids.tolist(), forward.flops, strict=True))
    assert flops["layer0.attention.qkv"] == 6 * tokens * h * h
    # Scores and weighted sum of s / 2 tokens on average: two products of 2 × s / 2 × h each.
    assert flops["layer0.attention.attention"] == 2 * tokens * s * h
    assert flops["layer0.attention.projection"] == 2 * tokens * h * h
    assert flops["layer0.ffn.up"] == flops["layer0.ffn.down"] == 8 * tokens * h * h
    assert flops["output"] == 2 * tokens * h * vocabulary
    assert flops["embedding"] == 0
    made = training(forward).template
    shares = dict(zip(forward.problem.template.operator_ids.tolist(), forward.backward_input,
                      strict=True))  # fmt: skip
    assert shares["layer0.ffn.up"] == 1
    # FlashAttention-2: five products backward, two forward; a layer's weights 2 + 4 = 6 N.
    assert shares["layer0.attention.attention"] == 2.5
    times = dict(zip(made.operator_ids.tolist(), made.duration, strict=True))
    assert times["layer0.ffn.up:I"] == times["layer0.ffn.up:W"] == times["layer0.ffn.up"]
    assert "layer0.attention.attention:W" not in times


def test_durations_are_those_of_the_roofline():
    cost = CostModel()
    h, s = 4096, 2048
    graph = transformer(1, h, 32, s, 100).problem.template
    times = dict(zip(graph.operator_ids.tolist(), graph.duration, strict=True))
    moved = 2.0 * (s * h + s * 4 * h + 4 * h * h)
    assert times["layer0.ffn.up"] == cost.durations(8.0 * s * h * h, moved, ("H100",))


@pytest.mark.parametrize("shape", [GPT, {**GPT, "layers": 24, "hidden": 2048, "heads": 16}])
def test_training_takes_six_flops_per_parameter_and_token(shape):
    # Kaplan et al. 2020: 6 N per token, N without the embedding's look-up table; attention adds
    # layers × sequence × hidden products that the rule leaves out: below 20 % here.
    forward = transformer(**shape)
    n = parameters(forward) - shape["vocabulary"] * shape["hidden"]
    rule = 6 * n * shape["sequence"]
    assert rule < training_flops(forward) < 1.2 * rule
    short = transformer(**{**shape, "sequence": 64})
    assert training_flops(short) == pytest.approx(6 * n * 64, rel=0.02)


def test_saved_activations_are_those_of_korthikanti():
    # 34 s b h bytes per layer, of which 2 are dropout masks (Korthikanti et al. 2022, table 2).
    saved = []
    for layers in (2, 3):
        forward = transformer(layers, 1024, 16, 512, 1000, batch=2)
        saved.append((forward.saved_input.sum() + forward.saved_weight.sum()) * MIB)
    assert saved[1] - saved[0] == pytest.approx(32 * 512 * 2 * 1024)


def test_embedding_and_output_weigh_what_they_weigh():
    graph = transformer(2, 64, 4, 16, 5000).problem.template
    sizes = dict(zip(graph.group_ids.tolist(), graph.group_size * MIB, strict=True))
    assert sizes["embedding"] == sizes["output"] == 2 * 5000 * 64
    times = dict(zip(graph.operator_ids.tolist(), graph.duration, strict=True))
    assert times["output"] > times["embedding"]
    tied = transformer(2, 64, 4, 16, 5000, tied=True).problem.template
    assert "output" not in tied.group_ids


def test_tensor_parallel_divides_work_and_weights_and_adds_all_reduces():
    one, four = (transformer(2, 256, 8, 128, 1000, tensor_parallel=t) for t in (1, 4))
    assert parameters(four) == pytest.approx(parameters(one) / 4)
    names = four.problem.template.operator_ids.tolist()
    # Shoeybi et al. 2019: two per layer and one after the embedding, in either direction.
    assert sum("all_reduce" in name for name in names) == 2 * 2 + 1
    made = training(four).template
    backward = [name for name in made.operator_ids if name.endswith("all_reduce:I")]
    assert len(backward) == 2 * 2 + 1
    assert set(stream(four, "all_reduce")) == {"network"}
    assert training(four).template.find_cycle() is None


def test_experts_exchange_on_the_network_stream_and_hold_all_weights():
    dense = transformer(2, 256, 8, 128, 1000)
    moe = transformer(2, 256, 8, 128, 1000, experts=8, top_k=2, expert_parallel=4)
    assert set(stream(moe, "dispatch") + stream(moe, "combine")) == {"network"}
    # Each device holds two of the eight experts; the router adds hidden × experts.
    extra = 2 * ((2 - 1) * 8 * 256 * 256 + 256 * 8)
    assert parameters(moe) - parameters(dense) == pytest.approx(extra)
    # A token visits two experts: twice the feed-forward FLOPs, and the router's.
    forward_extra = 2 * 128 * (2 * 8 * 256 * 256 + 2 * 256 * 8)
    graph = moe.problem.template
    size = dict(zip(graph.tensor_ids.tolist(), graph.size * MIB, strict=True))
    sent = 2 * 128 * 256 * 2  # bytes × tokens × hidden, once per expert visited
    assert size["layer0.ffn.dispatch"] == size["layer0.ffn.experts"] == sent
    assert size["layer0.ffn.combine"] == sent / 2
    exchange = CostModel().all_to_all_milliseconds(sent, 4, "NVLink 4")
    times = dict(zip(graph.operator_ids.tolist(), graph.duration, strict=True))
    assert times["layer0.ffn.dispatch"] == times["layer0.ffn.combine"] == exchange
    backward = training(moe).template
    network = {str(backward.operator_ids[o]) for o in np.flatnonzero(
        backward.stream == backward.stream_names.index("network"))}  # fmt: skip
    assert len(network) == 2 * 2 * 2  # dispatch and combine, forth and back, in two layers
    assert moe.flops.sum() - dense.flops.sum() == pytest.approx(forward_extra, rel=0.01)


def test_stages_are_contiguous_and_hold_everything():
    graph = transformer(5, 64, 4, 16, 100, stages=3, micro_batches=2).problem.template
    assert sorted(set(graph.stage.tolist())) == [0, 1, 2]
    assert np.all(graph.stage[graph.edge_source] <= graph.stage[graph.edge_target])


def test_unlike_devices_get_durations_of_their_own():
    problem = transformer(2, 64, 4, 16, 100, cluster=mixed({"A100": 2, "B200": 2})).problem
    assert np.all(problem.durations[:, 0] > problem.durations[:, 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 7}, "7 heads do not divide"),
        ({"layers": 0}, "layers is 0"),
        ({"sequence": 0}, "sequence is 0"),
        ({"tensor_parallel": 5}, "tensor_parallel is 5"),
        ({"experts": 2, "top_k": 3}, "top_k"),
        ({"experts": 4, "expert_parallel": 3}, "expert_parallel is 3"),
        ({"stages": 13}, "stages is 13"),
        ({"link": "string"}, "no preset for link"),
        ({"ffn": 0}, "ffn is 0"),
    ],
)
def test_wrong_shapes_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        transformer(**{**GPT, **change})


@settings(max_examples=30, deadline=None)
@given(
    layers=st.integers(1, 4),
    heads=st.sampled_from([1, 2, 4]),
    width=st.integers(1, 32),
    sequence=st.integers(1, 64),
    vocabulary=st.integers(1, 500),
    experts=st.sampled_from([0, 2, 4]),
    recompute=st.booleans(),
)
def test_any_shape_trains(layers, heads, width, sequence, vocabulary, experts, recompute):
    forward = transformer(
        layers, heads * width, heads, sequence, vocabulary, experts=experts, batch=2
    )
    graph = forward.problem.template
    assert np.all(forward.flops >= 0)
    made = training(forward, recompute=recompute).template
    assert made.find_cycle() is None
    # 16 bytes per parameter for 2: weights, gradients and Adam's state.
    assert made.group_size.sum() == pytest.approx(8 * graph.group_size.sum())
