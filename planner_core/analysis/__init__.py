"""What a schedule tells: metrics, memory, bubbles and their causes, critical path."""
