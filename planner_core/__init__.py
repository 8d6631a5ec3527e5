"""Plan how a deep-learning computation runs on many devices, and prove how good the plan is."""
