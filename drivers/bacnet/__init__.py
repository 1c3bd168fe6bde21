"""BACnet/IP: objects as profiles, one application a process, commands in one slot of the priority array."""
