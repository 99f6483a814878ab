"""Every rule against the numbers it must reach: `make calibrate` writes docs/evidence/calibration.md."""
