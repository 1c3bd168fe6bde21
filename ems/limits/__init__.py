"""Limits of the grid operator: where they come from, which is in force, and what holds when the operator is lost."""
