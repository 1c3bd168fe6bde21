"""Reports for auditors: every figure with where it comes from, the same inputs giving the same bytes."""
