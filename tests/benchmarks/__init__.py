"""Measurements of the real program on the simulator: `make bench`."""
