"""LLM Auto-Optimizer: exact telemetry, honest statistics, safe actuation."""

__version__ = "0.1.0"
