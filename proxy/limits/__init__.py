"""Bounds, as plain counting: no clock, no I/O."""
