"""Roofline, collectives and model states against their formulas; presets in plausible ranges."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_core.problem import InputError, build_cluster
from planner_core.problem.hardware import (
    DEVICE_TYPES,
    LINK_TYPES,
    CostModel,
    DeviceType,
    LinkType,
    known_types,
    model_state_bytes,
)

DEVICE = DeviceType("toy", flops=1e12, memory_bandwidth=1e9, memory=1e9, source="made up")
LINK = LinkType("wire", bandwidth=1e9, latency=1e-3, source="made up")
IDEAL = CostModel(
    compute_efficiency=1, memory_efficiency=1, launch_overhead=0, link_efficiency=1
)  # fmt: skip


def test_the_longer_of_arithmetic_and_traffic_counts():
    assert IDEAL.milliseconds(5e12, 1e9, DEVICE) == pytest.approx(5000)
    assert IDEAL.milliseconds(5e11, 1e9, DEVICE) == pytest.approx(1000)
    half = CostModel(compute_efficiency=0.5, memory_efficiency=1, launch_overhead=0.25)
    assert half.milliseconds(5e12, 0, DEVICE) == pytest.approx(10250)


def test_a_cost_model_says_its_efficiencies():
    half = CostModel(compute_efficiency=0.5, memory_efficiency=0.7, launch_overhead=4e-6)
    assert half.words == (
        "compute efficiency 0.5, memory efficiency 0.7, link efficiency 0.8, launch overhead 4 µs"
    )


def test_collectives():
    assert IDEAL.transfer_milliseconds(1e9, LINK) == pytest.approx(1001)
    # Ring: 2 (k − 1) steps of 1/k of the data.
    assert IDEAL.all_reduce_milliseconds(1e9, 4, LINK) == pytest.approx(6 * (1 + 250))
    assert IDEAL.all_reduce_milliseconds(1e9, 1, LINK) == 0
    assert IDEAL.all_to_all_milliseconds(1e9, 4, LINK) == pytest.approx(751)
    assert IDEAL.all_to_all_milliseconds(1e9, 1, LINK) == 0


def test_model_states_are_those_of_the_zero_paper():
    # Rajbhandari et al. 2020, figure 1: 7.5 billion parameters, 64 ranks, in GB.
    sizes = [model_state_bytes(7.5e9, zero_stage=z, data_parallel=64) / 1e9 for z in range(4)]
    assert sizes == pytest.approx([120, 31.4, 16.6, 1.9], abs=0.05)
    assert model_state_bytes(1e9, training=False) == 2e9


@given(
    st.sampled_from(sorted(DEVICE_TYPES)), st.floats(0, 1e15), st.floats(0, 1e12), st.floats(1, 9)
)
def test_more_work_never_takes_less_time(device, flops, moved, factor):
    cost = CostModel()
    time = cost.milliseconds(flops, moved, device)
    assert time >= 1e3 * cost.launch_overhead
    assert cost.milliseconds(flops * factor, moved * factor, device) >= time


def test_presets_are_ordered_as_their_generations():
    assert {"A100", "H100", "H200", "B200", "MI300X"} <= set(DEVICE_TYPES)
    order = [DEVICE_TYPES[name] for name in ("A100", "H100", "H200", "B200")]
    assert all(a.memory_bandwidth < b.memory_bandwidth for a, b in pairwise(order))
    speeds = [LINK_TYPES[f"NVLink {n}"].bandwidth for n in (3, 4, 5)]
    assert speeds == sorted(speeds)
    assert LINK_TYPES["PCIe 5"].bandwidth < LINK_TYPES["NVLink 3"].bandwidth
    assert LINK_TYPES["InfiniBand NDR"].bandwidth == 400e9 / 8
    assert all(spec.source for spec in (*DEVICE_TYPES.values(), *LINK_TYPES.values()))


@pytest.mark.parametrize(
    ("name", "flops", "bandwidth", "memory"),
    [
        # Dense BF16 TFLOP/s, TB/s and GB of the makers' data sheets.
        ("A100", 312, 2.039, 80),
        ("H100", 989.4, 3.35, 80),
        ("H200", 989.4, 4.8, 141),
        ("B200", 2250, 8.0, 180),
        ("MI300X", 1307.4, 5.3, 192),
    ],
)
def test_devices_are_those_of_the_data_sheets(name, flops, bandwidth, memory):
    spec = DEVICE_TYPES[name]
    assert spec.flops == pytest.approx(flops * 1e12)
    assert spec.memory_bandwidth == pytest.approx(bandwidth * 1e12)
    assert spec.memory == pytest.approx(memory * 1e9)


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        # One direction: half of what is advertised for both, bits over 8, lanes × rate × coding.
        ("NVLink 3", 600 / 2),
        ("NVLink 4", 900 / 2),
        ("NVLink 5", 1800 / 2),
        ("Infinity Fabric", 128 / 2),
        ("InfiniBand HDR", 200 / 8),
        ("InfiniBand XDR", 800 / 8),
        ("PCIe 4", 16 * 16 / 8 * 128 / 130),
        ("PCIe 5", 16 * 32 / 8 * 128 / 130),
        ("Ethernet 10G", 10 / 8),
        ("Ethernet 400G", 400 / 8),
    ],
)
def test_links_are_those_of_the_data_sheets(name, gigabytes):
    assert LINK_TYPES[name].bandwidth == pytest.approx(gigabytes * 1e9, rel=2e-3)


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match="no preset for device type 'H900'"):
        CostModel().milliseconds(1, 1, "H900")
    with pytest.raises(InputError, match="no preset for link 'string'"):
        CostModel().transfer_milliseconds(1, "string")
    with pytest.raises(InputError, match="compute_efficiency is 0"):
        CostModel(compute_efficiency=0)
    with pytest.raises(InputError, match="launch_overhead"):
        CostModel(launch_overhead=-1)
    with pytest.raises(InputError, match="zero_stage is 4"):
        model_state_bytes(1, zero_stage=4)
    with pytest.raises(InputError, match="data_parallel is 0"):
        model_state_bytes(1, data_parallel=0)
    with pytest.raises(InputError, match="device 'a' has no type"):
        known_types(build_cluster([{"id": "a"}]))
