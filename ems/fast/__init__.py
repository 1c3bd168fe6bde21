"""What the fast loop is made of: look, decide, act, every cycle."""
