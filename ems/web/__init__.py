"""The status page: a process of its own, without a device socket."""
