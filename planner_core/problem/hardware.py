"""Rates of devices and links, and the roofline that turns work into time.

Units inside this module are SI: FLOP/s, bytes, bytes/s, seconds. :class:`CostModel` returns
milliseconds and :data:`MIB` converts sizes, because problems count in ms and MiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from planner_core.problem.cluster import Cluster
from planner_core.problem.errors import InputError

MIB = 2.0**20
"""Bytes of a MiB."""

GB = 1e9


@dataclass(frozen=True)
class DeviceType:
    """Peak rates of an accelerator.

    Parameters
    ----------
    name : str
    flops : float
        Dense BF16 FLOP/s (no sparsity).
    memory_bandwidth : float
        Bytes/s.
    memory : float
        Bytes; data sheets' decimal gigabytes, which leaves a few per cent for the runtime.
    source : str
    """

    name: str
    flops: float
    memory_bandwidth: float
    memory: float
    source: str


@dataclass(frozen=True)
class LinkType:
    """Peak rate of a link in one direction.

    Parameters
    ----------
    name : str
    bandwidth : float
        Bytes/s in one direction between two devices.
    latency : float
        Seconds from send to first byte, software included. Data sheets do not give it: these
        are rounded orders of magnitude, to be replaced by a measurement.
    source : str
    """

    name: str
    bandwidth: float
    latency: float
    source: str


DEVICE_TYPES: Mapping[str, DeviceType] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            DeviceType("A100", 312e12, 2039 * GB, 80 * GB, "NVIDIA A100 80GB SXM data sheet, 2021"),
            DeviceType("H100", 989.4e12, 3350 * GB, 80 * GB, "NVIDIA H100 SXM data sheet, 2023"),
            DeviceType("H200", 989.4e12, 4800 * GB, 141 * GB, "NVIDIA H200 SXM data sheet, 2024"),
            DeviceType(
                "B200", 2250e12, 8000 * GB, 180 * GB, "NVIDIA DGX B200 data sheet / 8, 2024"
            ),
            DeviceType("MI300X", 1307.4e12, 5300 * GB, 192 * GB, "AMD MI300X data sheet, 2023"),
        )
    }
)
"""Presets by name."""

LINK_TYPES: Mapping[str, LinkType] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            LinkType(
                "NVLink 3", 300 * GB, 3e-6, "A100: 600 GB/s both ways, NVIDIA A100 data sheet"
            ),
            LinkType(
                "NVLink 4", 450 * GB, 3e-6, "H100: 900 GB/s both ways, NVIDIA H100 data sheet"
            ),
            LinkType("NVLink 5", 900 * GB, 3e-6, "B200: 1.8 TB/s both ways, NVIDIA DGX B200"),
            LinkType(
                "Infinity Fabric", 64 * GB, 4e-6, "MI300X: 128 GB/s both ways to each peer, AMD"
            ),
            LinkType("InfiniBand HDR", 25 * GB, 5e-6, "200 Gbit/s per port, InfiniBand roadmap"),
            LinkType("InfiniBand NDR", 50 * GB, 5e-6, "400 Gbit/s per port, InfiniBand roadmap"),
            LinkType("InfiniBand XDR", 100 * GB, 5e-6, "800 Gbit/s per port, InfiniBand roadmap"),
            LinkType("PCIe 4", 31.5 * GB, 8e-6, "16 lanes of 16 GT/s, 128b/130b, PCI-SIG 4.0"),
            LinkType("PCIe 5", 63.0 * GB, 8e-6, "16 lanes of 32 GT/s, 128b/130b, PCI-SIG 5.0"),
            LinkType("Ethernet 10G", 1.25 * GB, 30e-6, "10 Gbit/s, IEEE 802.3ae"),
            LinkType("Ethernet 100G", 12.5 * GB, 15e-6, "100 Gbit/s, IEEE 802.3bj"),
            LinkType("Ethernet 400G", 50 * GB, 15e-6, "400 Gbit/s, IEEE 802.3bs"),
        )
    }
)
"""Presets by name."""

LINK_EFFICIENCY = 0.8
"""Share of a link's peak that large transfers reach; every builder takes another value."""


def device_type(device: str | DeviceType) -> DeviceType:
    """Return a device type given by name or as it is.

    Raises
    ------
    InputError
        If there is no preset of that name.
    """
    if isinstance(device, DeviceType):
        return device
    if device not in DEVICE_TYPES:
        raise InputError(
            f"there is no preset for device type '{device}'; use one of {', '.join(DEVICE_TYPES)} "
            "or give its rates"
        )
    return DEVICE_TYPES[device]


def link_type(link: str | LinkType) -> LinkType:
    """Return a link type given by name or as it is; InputError if there is no such preset."""
    if isinstance(link, LinkType):
        return link
    if link not in LINK_TYPES:
        raise InputError(
            f"there is no preset for link '{link}'; use one of {', '.join(LINK_TYPES)} or give "
            "its bandwidth and latency"
        )
    return LINK_TYPES[link]


@dataclass(frozen=True)
class CostModel:
    """Roofline (Williams, Waterman, Patterson 2009) with efficiencies one can see and change.

    The time of an operator is the longer of its arithmetic and its memory traffic, each at a
    share of the device's peak, plus a fixed overhead to launch it.

    Parameters
    ----------
    compute_efficiency : float
        Share of peak FLOP/s that large matrix products reach.
    memory_efficiency : float
        Share of peak memory bandwidth that streaming operators reach.
    launch_overhead : float
        Seconds per operator.
    link_efficiency : float
        Share of a link's peak.

    Raises
    ------
    InputError
        If an efficiency is not in (0, 1] or the overhead is negative.
    """

    compute_efficiency: float = 0.6
    memory_efficiency: float = 0.8
    launch_overhead: float = 3e-6
    link_efficiency: float = LINK_EFFICIENCY

    def __post_init__(self) -> None:
        for label in ("compute_efficiency", "memory_efficiency", "link_efficiency"):
            value = getattr(self, label)
            if not 0 < value <= 1:
                raise InputError(f"{label} is {value:g}; it is a share, above 0 and at most 1")
        if not 0 <= self.launch_overhead < float("inf"):
            raise InputError(
                f"launch_overhead is {self.launch_overhead:g}; it must be 0 seconds or more"
            )

    @property
    def words(self) -> str:
        """Its efficiencies in words."""
        return (
            f"compute efficiency {self.compute_efficiency:g}, memory efficiency "
            f"{self.memory_efficiency:g}, link efficiency {self.link_efficiency:g}, launch "
            f"overhead {1e6 * self.launch_overhead:g} µs"
        )

    def milliseconds(self, flops: float, moved_bytes: float, device: str | DeviceType) -> float:
        """Return the time of an operator on a device, in ms.

        Parameters
        ----------
        flops : float
        moved_bytes : float
            Bytes read and written.
        device : str or DeviceType
        """
        spec = device_type(device)
        arithmetic = flops / (spec.flops * self.compute_efficiency)
        traffic = moved_bytes / (spec.memory_bandwidth * self.memory_efficiency)
        return 1e3 * (max(arithmetic, traffic) + self.launch_overhead)

    def durations(
        self, flops: float, moved_bytes: float, types: tuple[str, ...]
    ) -> float | dict[str, float]:
        """Return one duration if there is one device type, else one per type, in ms."""
        if len(types) == 1:
            return self.milliseconds(flops, moved_bytes, types[0])
        return {name: self.milliseconds(flops, moved_bytes, name) for name in types}

    def transfer_milliseconds(self, moved_bytes: float, link: str | LinkType) -> float:
        """Return the time of a transfer over a link, in ms."""
        spec = link_type(link)
        return 1e3 * (spec.latency + moved_bytes / (spec.bandwidth * self.link_efficiency))

    def all_reduce_milliseconds(
        self, moved_bytes: float, ranks: int, link: str | LinkType
    ) -> float:
        """Return the time of a ring all-reduce over ``ranks`` devices, in ms.

        2 (k − 1) steps, each moving 1/k of the data (Patarasuk and Yuan 2009).
        """
        spec = link_type(link)
        steps = 2 * (ranks - 1)
        step = spec.latency + moved_bytes / ranks / (spec.bandwidth * self.link_efficiency)
        return 1e3 * steps * step

    def all_to_all_milliseconds(
        self, moved_bytes: float, ranks: int, link: str | LinkType
    ) -> float:
        """Return the time of an all-to-all, in ms: (k − 1)/k of each rank's data leaves it."""
        spec = link_type(link)
        if ranks == 1:
            return 0.0
        leaving = moved_bytes * (ranks - 1) / ranks
        return 1e3 * (spec.latency + leaving / (spec.bandwidth * self.link_efficiency))


def known_types(cluster: Cluster) -> tuple[str, ...]:
    """Return the device types of a cluster, each of which must be a preset.

    Raises
    ------
    InputError
        If a device has no type or one without a preset: the roofline has no rates for it.
    """
    for name, kind in zip(cluster.device_ids, cluster.device_types, strict=True):
        if kind is None:
            raise InputError(
                f"device '{name}' has no type; the cost model needs one of "
                f"{', '.join(DEVICE_TYPES)}"
            )
        device_type(kind)
    return tuple(dict.fromkeys(str(kind) for kind in cluster.device_types))


def model_state_bytes(
    parameters: float, *, training: bool = True, zero_stage: int = 0, data_parallel: int = 1
) -> float:
    """Return the bytes a device holds for weights, gradients and optimiser state.

    Mixed-precision Adam: 2 bytes of weight, 2 of gradient, 12 of optimiser state (FP32 copy,
    momentum, variance) per parameter. ZeRO divides over the data-parallel ranks: stage 1 the
    optimiser state, 2 also the gradients, 3 also the weights (Rajbhandari et al. 2020, "ZeRO",
    section 3 and figure 1).

    Parameters
    ----------
    parameters : float
        Number of parameters.
    training : bool
        False: weights only.
    zero_stage : {0, 1, 2, 3}
    data_parallel : int
        Ranks the state is divided over.

    Raises
    ------
    InputError
        If the stage is not 0 to 3 or there is no rank.
    """
    if zero_stage not in (0, 1, 2, 3):
        raise InputError(f"zero_stage is {zero_stage}; it must be 0, 1, 2 or 3")
    if data_parallel < 1:
        raise InputError(f"data_parallel is {data_parallel}; it must be 1 or more")
    weight, gradient, optimizer = (2.0, 2.0, 12.0) if training else (2.0, 0.0, 0.0)
    divided = (optimizer, gradient, weight)[:zero_stage]
    whole = (optimizer, gradient, weight)[zero_stage:]
    return parameters * (sum(whole) + sum(divided) / data_parallel)
