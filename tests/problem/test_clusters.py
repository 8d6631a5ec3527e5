"""Clusters from presets: who is joined to whom, by what, and in which units."""

import numpy as np
import pytest

from planner_core.problem import InputError
from planner_core.problem.clusters import homogeneous, mixed, nodes, ring, two_level
from planner_core.problem.hardware import DEVICE_TYPES, LINK_TYPES, MIB


def test_mixed_devices_keep_their_own_memory():
    cluster = mixed({"H100": 2, "H200": 1}, "PCIe 5", exclusive=True, efficiency=1.0)
    assert cluster.device_types == ("H100", "H100", "H200")
    assert (cluster.memory * MIB).tolist() == pytest.approx([80e9, 80e9, 141e9])
    # 63 GB/s in MiB per ms, latency in ms.
    assert cluster.bandwidth[0, 1] == pytest.approx(63e9 / MIB / 1000)
    assert cluster.latency[0, 1] == pytest.approx(1e3 * LINK_TYPES["PCIe 5"].latency)
    assert cluster.exclusive.sum() == 6
    assert mixed(["A100", DEVICE_TYPES["B200"]]).device_types == ("A100", "B200")


def test_memory_given_by_hand_and_link_efficiency():
    cluster = homogeneous(3, memory=7.0, efficiency=0.5)
    assert cluster.memory.tolist() == [7, 7, 7]
    assert cluster.bandwidth[0, 1] * 2 == homogeneous(3, efficiency=1.0).bandwidth[0, 1]


def test_nodes_are_fast_inside_and_slow_across():
    cluster = nodes(2, 4, exclusive_outer=True)
    inside, across = cluster.bandwidth[0, 3], cluster.bandwidth[3, 4]
    assert inside / across == pytest.approx(450 / 50)
    assert not cluster.exclusive[0, 3]
    assert cluster.exclusive[3, 4]
    assert cluster.has_link.all()


def test_groups_may_be_unlike():
    cluster = two_level([["A100"], ["H100", "H100"]])
    assert cluster.device_types == ("A100", "H100", "H100")
    assert cluster.bandwidth[1, 2] > cluster.bandwidth[0, 1]


@pytest.mark.parametrize(
    ("count", "one_way", "links"), [(5, False, 10), (5, True, 5), (2, False, 2)]
)
def test_a_ring_joins_neighbours_only(count, one_way, links):
    cluster = ring(count, one_way=one_way)
    joined = cluster.has_link & ~np.eye(count, dtype=bool)
    assert joined.sum() == links
    assert joined[count - 1, 0]
    assert not joined[0, 2 % count]


def test_a_ring_of_one_has_no_link():
    assert ring(1).n_devices == 1


def test_wrong_requests_are_refused():
    with pytest.raises(InputError, match="0 devices"):
        homogeneous(0)
    with pytest.raises(InputError, match="0 devices"):
        mixed({})
    with pytest.raises(InputError, match="at most"):
        homogeneous(2000)
    with pytest.raises(InputError, match="no preset"):
        mixed({"TPU": 1})
    with pytest.raises(InputError, match="efficiency is 0"):
        homogeneous(2, efficiency=0)
