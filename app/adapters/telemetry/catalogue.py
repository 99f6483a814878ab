"""Every metric the optimizer exports, in one place: where it is counted, its name, what one more of it means.

Parts count in plain dictionaries (``counts``), so the core needs no metrics library and a count costs one addition.
The exporter reads them when it is asked, and gives each the name written here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

Stage = Literal["codec", "ingest", "optimize", "lane", "host", "actuate"]

PREFIX = "llm_optimizer"


class Metric(msgspec.Struct, frozen=True):
    """A counter. ``label`` is the one label it has, if any; its values come from a closed set in the code."""

    stage: Stage
    count: str
    meaning: str
    label: str = ""

    @property
    def name(self) -> str:
        """The exported name, without the ``_total`` that the format appends."""
        return f"{PREFIX}_{self.stage}_{self.count}"


_METRICS = (
    Metric("codec", "compat", "events read in a form that is accepted but not CloudEvents' Kafka binding"),
    Metric("codec", "aliased", "events that used another name of a field"),
    Metric("codec", "alias_conflict", "events that gave one field under two names with two values; the canonical won"),
    Metric("codec", "unknown_fields", "events with fields nobody reads"),
    Metric("codec", "service_conflict", "feedback whose service is not the one its receipt names; the receipt won"),
    Metric("codec", "internal_error", "events the decoder itself failed on: a defect, please report it"),
    Metric("ingest", "counted", "events folded into a pane"),
    Metric("ingest", "duplicates", "events whose id was already folded in this pane and partition"),
    Metric("ingest", "late", "events after their pane had closed: spend and totals, never statistics"),
    Metric("ingest", "overflow_cells", "events counted under `other`, because their pane had its bound of cells"),
    Metric("ingest", "control", "commands, alerts and outcomes passed on as facts"),
    Metric("ingest", "ignored", "well-formed events this stage has no use for"),
    Metric("ingest", "rejected", "events sent to the dead letters", label="reason"),
    Metric("optimize", "failed_steps", "steps of a service that failed by a defect and were left out: see findings"),
    Metric("optimize", "unreadable_facts", "facts that could not be decoded: written by a newer version, or damaged"),
    Metric("optimize", "after_close", "partials of panes that had already closed"),
    Metric("optimize", "repeated_commands", "commands that were produced again (same id and data): obeyed once"),
    Metric("optimize", "shadowed", "requests told by the other kind of evidence, and so counted once already"),
    Metric("optimize", "failed_analyses", "panes whose findings a defect cost: please report it"),
    Metric("optimize", "refused_services", "partials of services beyond optimize.max_services"),
    Metric("lane", "batches_unowned", "fetched batches of partitions that were no longer owned"),
    Metric("lane", "batches_repeated", "fetched batches that were folded before"),
    Metric("lane", "batches_after_hole", "fetched batches that did not continue where the fold stood"),
    Metric("lane", "resyncs", "seeks back to where the fold stood"),
    Metric("lane", "records_lost_to_retention", "records the broker had deleted before they were read"),
    Metric("lane", "commits", "commit points offered to the group", label="verdict"),
    Metric("host", "ticks", "rounds of flushing and committing"),
    Metric("host", "ticks_failed", "rounds that failed"),
    Metric("actuate", "applied", "splits a gateway took"),
    Metric("actuate", "reverted", "frozen splits a gateway took"),
    Metric("actuate", "ignored", "splits a gateway ignored, because it has a newer one"),
    Metric("actuate", "conflicts", "calls refused because the gateway had changed meanwhile"),
    Metric("actuate", "unavailable", "calls without a usable answer"),
    Metric("actuate", "refused", "splits a gateway refused"),
    Metric("actuate", "drifted", "changes made by hand at a gateway"),
    Metric("actuate", "unreadable", "splits and commands that could not be decoded"),
    Metric("actuate", "over_limit", "services beyond the bound of the actuator"),
    Metric("actuate", "left_out", "services whose gateway is not configured here"),
)

CATALOGUE: Mapping[tuple[str, str], Metric] = MappingProxyType({(m.stage, m.count): m for m in _METRICS})
"""(stage, count) -> metric. A labelled metric collects the counts that begin with its name: ``rejected_not_json``."""
