"""Calibration and speed: scripts that reprint the numbers the rules must reach, seeds stated."""
