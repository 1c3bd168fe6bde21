"""Where copies of signed checkpoints go: places that whoever holds the state directory cannot change."""
