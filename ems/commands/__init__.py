"""The `ems` commands, one a file: each has `command(argv) -> int`."""
