"""The pretend world at the far end of the same wires."""
