"""Everything that can time out: devices on their wires, and the feeds that publish forecasts."""
