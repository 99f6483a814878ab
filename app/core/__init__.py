"""The pure heart: no clock, no randomness source, no I/O, no logging. Time is always an argument."""
