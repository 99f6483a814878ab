"""Table ``services``: everything decided and known about a service, one row each. The changelog is the only copy.

* key: ``service NUL writer`` (each incarnation of an owner writes its own keys, rule O5; the largest ``applied`` wins),
  and ``NUL NUL writer`` for the meta row: commit offset and source clocks (rule O3)
* value: ``app.core.merge.KeptRow``, MessagePack array, deflated from 16 kB on (``app.core.compact``); fields are
  appended only at the end, so old bytes stay readable
* partition: the facts partition of the service; at most 64 kB a row at 10 arms and 5 segments
"""

from typing import Any

import faust

from app.adapters.kafka.remember import changelog_table

NAME = "services"
VERSION = 1


def services(app: faust.App, topic: str, partitions: int) -> Any:
    """Declare the table over its changelog ``topic``."""
    return changelog_table(app, NAME, topic, partitions)
