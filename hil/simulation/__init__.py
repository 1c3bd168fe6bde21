"""The daemon and the pretend world in one process, one thread and one seeded order of events."""
