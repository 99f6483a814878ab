"""What the optimizer says about itself: logs on standard error, metrics under the names of one catalogue."""

from app.adapters.telemetry.log import configure_logging
from app.adapters.telemetry.metric import Metric, Reading, read
from app.adapters.telemetry.metrics import counted, exposition

__all__ = ["Metric", "Reading", "configure_logging", "counted", "exposition", "read"]
