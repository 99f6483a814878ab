"""Every setting: group, unit, bounds, default, reason; and how they are read.

>>> from app.settings import load
>>> load(flags={"ingest.lateness_s": "45"}).ingest.lateness_s
45
"""

from app.settings.api import Api
from app.settings.kafka import Kafka
from app.settings.load import Loaded, SettingsError, load, load_with_origins
from app.settings.model import Settings
from app.settings.sections import (
    Actuate,
    Deployment,
    Gateway,
    Ingest,
    Log,
    Optimize,
    Platform,
    State,
    Telemetry,
    Web,
)
from app.settings.topics import Topics

__all__ = [
    "Actuate",
    "Api",
    "Deployment",
    "Gateway",
    "Ingest",
    "Kafka",
    "Loaded",
    "Log",
    "Optimize",
    "Platform",
    "Settings",
    "SettingsError",
    "State",
    "Telemetry",
    "Topics",
    "Web",
    "load",
    "load_with_origins",
]
