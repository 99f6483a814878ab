"""What the optimizer says about itself: logs on standard error, metrics under the names of one catalogue."""

from app.adapters.telemetry.catalogue import CATALOGUE, Metric
from app.adapters.telemetry.log import configure_logging
from app.adapters.telemetry.metrics import Counts, CountsCollector, exposition

__all__ = ["CATALOGUE", "Counts", "CountsCollector", "Metric", "configure_logging", "exposition"]
