"""Modbus TCP: register maps as profiles, one link a host and port, set-points as declared sequences."""
