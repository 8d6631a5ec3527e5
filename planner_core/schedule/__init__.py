"""What an answer is: schedule, plan; the simulator, re-timing and the validator."""

from planner_core.schedule.measures import (
    measure,
    micro_batch_count,
    peak_memory,
    period,
    stream_loads,
    transfer_volume,
)
from planner_core.schedule.memory import Holds, MemoryProfile, holds, memory_profiles
from planner_core.schedule.plan import (
    STATUSES,
    DeviceUse,
    Plan,
    device_use,
    proves_optimal,
    relative_gap,
)
from planner_core.schedule.retiming import resource_sequences, retime
from planner_core.schedule.schedule import Schedule, Transfers
from planner_core.schedule.simulator import (
    Block,
    BlockTime,
    DeadlockError,
    earliest_starts,
    simulate,
)
from planner_core.schedule.tasks import Tasks, compile_tasks, resident_memory
from planner_core.schedule.validator import Violation, validate

__all__ = [
    "STATUSES",
    "Block",
    "BlockTime",
    "DeadlockError",
    "DeviceUse",
    "Holds",
    "MemoryProfile",
    "Plan",
    "Schedule",
    "Tasks",
    "Transfers",
    "Violation",
    "compile_tasks",
    "device_use",
    "earliest_starts",
    "holds",
    "measure",
    "memory_profiles",
    "micro_batch_count",
    "peak_memory",
    "period",
    "proves_optimal",
    "relative_gap",
    "resident_memory",
    "resource_sequences",
    "retime",
    "simulate",
    "stream_loads",
    "transfer_volume",
    "validate",
]
