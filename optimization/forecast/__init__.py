"""Pure past -> future: every function takes what was known before an instant and foresees slots after it."""
