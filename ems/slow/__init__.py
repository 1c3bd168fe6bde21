"""What the slow loop is made of: remember, foresee, ask, every few minutes."""
