"""The status page: a process of its own that reads the live stream and steers nothing."""
