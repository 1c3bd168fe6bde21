"""BACnet/IP: objects as profiles, one socket a process, commands in one slot of the priority array."""
