"""The daemon: it alone knows both the wires and the mathematics."""
