"""Table ``windows``: the open windows of a service (5, 15, 60 minutes) and the rings of pane values for detectors.

* key: ``service NUL writer``, like ``tables/services.py``; no meta row: the one in ``services`` covers both
* value: ``app.core.kept.KeptWindows``, MessagePack array with packed histograms; fields are appended only at the end
* partition: the facts partition of the service; at most 128 kB a row

Written before the rows of ``services``, so a meta row never names an offset whose windows are missing.
"""

from typing import Any

import faust

from app.adapters.kafka.remember import changelog_table

NAME = "windows"
VERSION = 1


def windows(app: faust.App, topic: str, partitions: int) -> Any:
    """Declare the table over its changelog ``topic``."""
    return changelog_table(app, NAME, topic, partitions)
