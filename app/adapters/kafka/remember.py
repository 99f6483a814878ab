"""A Faust table that only declares its changelog: engines load and write it, Faust's Recovery does nothing (O6)."""

from typing import Any

import faust
from faust.types import TP

BEYOND = 1 << 62
"""An offset past every log: as far as Faust's Recovery can tell, the table is always up to date."""


class ChangelogTable(faust.Table[bytes, bytes]):
    """Declares a changelog and keeps its partitions with those of the source topic; never used as a table."""

    def persisted_offset(self, tp: TP) -> int | None:  # noqa: ARG002  # Faust's signature
        return BEYOND

    def apply_changelog_batch(self, *args: Any, **kwargs: Any) -> None:
        """What Faust may have fetched is not applied: there is no second copy of the state."""


def changelog_table(app: faust.App, name: str, topic: str, partitions: int) -> ChangelogTable:
    """The table ``name`` over the existing compacted topic ``topic``."""
    changelog = app.topic(
        topic,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=partitions,
        compacting=True,
        internal=True,
        acks=False,
    )
    return ChangelogTable(
        app, name=name, partitions=partitions, key_type=bytes, value_type=bytes, changelog_topic=changelog
    )
