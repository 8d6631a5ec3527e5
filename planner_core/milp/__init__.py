"""The lower level: time-indexed formulations in Pyomo, and the HiGHS driver."""
