"""The pretend feeder's own physics. It shares no model with the planner, so that it is able to disagree with it."""
