"""Tries a controller on what a site has lived through; knows plants by a protocol only, never the pretend world."""
