"""The planner's mathematics: pure, synchronous, without I/O and without a clock."""
