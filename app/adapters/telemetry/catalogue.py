"""Every metric the optimizer exports, declared once: name, type, unit, labels, what it says.

/metrics and OTLP export what is declared here and nothing else; docs/metrics.md is written from it
(``python -m app.adapters.telemetry.page``). Parts count in plain dictionaries, so the core needs no metrics library and
a count costs one addition; what is measured is read when it is asked for.
"""

from collections.abc import Mapping
from types import MappingProxyType

from app.adapters.gateways.desired import COUNTS as DESIRED_COUNTS
from app.adapters.telemetry.metric import Kind, Metric, Stage, Unit

_SOURCE = ("agent", "source")


def _gauge(key: str, unit: Unit, says: str, labels: tuple[str, ...] = ("agent",)) -> Metric:
    return Metric(key=key, kind="gauge", unit=unit, help=says, labels=labels)


def _total(key: str, unit: Unit, says: str, labels: tuple[str, ...] = ("agent",)) -> Metric:
    return Metric(key=key, kind="counter", unit=unit, help=says, labels=labels)


def _counted(stage: Stage, count: str, unit: Unit, says: str, label: str = "", standard: str = "") -> Metric:
    kind: Kind = "counter"
    labels = ("agent", label) if label else ("agent",)
    return Metric(
        key=f"{stage}_{count}", kind=kind, unit=unit, help=says, labels=labels, stage=stage, standard=standard
    )


# ---- how a worker stands, measured when asked ------------------------------------------------------------------------
READY = _gauge(
    "ready", "1", "1: every assigned partition has its engine and has recovered what its last owner had done"
)
STALLED = _gauge("stalled_sources", "1", "sources with lag whose position does not move: /health/live fails above 0")
PARTITIONS = _gauge("partitions", "1", "partitions with an engine")
LAG_RECORDS = _gauge(
    "lag_records", "records", "records between an engine and its log end, as of the last fetch", _SOURCE
)
LAG_SECONDS = _gauge(
    "lag_seconds",
    "s",
    "age of the newest record folded, where there is lag (0: none); the broker's append time",
    _SOURCE,
)
WATERMARK_DELAY = _gauge(
    "watermark_delay_seconds",
    "s",
    "how far event time trails the clock: of a source, or of the group (optimize; source is the facts partition)",
    _SOURCE,
)
OPEN_PANES = _gauge("open_panes", "minutes", "minutes that are open, over all partitions")
SILENT = _gauge("silent_sources", "1", "sources that do not move and hold every close: alarm when above 0")
UNFLUSHED = _gauge(
    "unflushed_records", "records", "records folded and not yet acked: bounded by kafka.max_unflushed_records"
)
SERVICES = _gauge(
    "services", "services", "services known here, by mode; frozen and paused ones count as such", ("agent", "mode")
)
RECOVERY_SECONDS = _gauge("recovery_seconds", "s", "last recovery: from assignment to the state of the last owner")
RESIDENT = _gauge("resident_memory_bytes", "By", "resident memory of the agent's process")
UP = _gauge("up_seconds", "s", "age of the agent's process")

FOLDED = _total("records_folded", "records", "records folded, those read again after a crash included")
SENT = _total("records_sent", "records", "records acked")
FLUSHES = _total("flushes", "1", "flushes (optimize: checkpoints) acked")
FLUSH_SECONDS = _total(
    "flush_seconds", "s", "time in flushes (optimize: checkpoints), from cut to the last ack; by flushes: the mean"
)
WAITED_SECONDS = _total(
    "backpressure_seconds", "s", "time in which folding waited for acks (kafka.max_unflushed_records)"
)
REBALANCES = _total("rebalances", "1", "assignments after which the engines were built anew")
CPU_SECONDS = _total("cpu_seconds", "s", "CPU time of the agent's process")
RESTARTS = _total("agent_restarts", "1", "how often the supervisor started the agent again")
LAST_EXIT = _gauge("agent_last_exit_code", "1", "exit code of the agent's last process; 0 while none has ended")

# ---- of a gateway, and of the desired state on offer -----------------------------------------------------------------
_GATEWAY = ("gateway",)
PROPAGATION_SECONDS = _total(
    "gateway_propagation_seconds", "s", "time from first asking a gateway to its yes", _GATEWAY
)
PROPAGATIONS = _total("gateway_propagations", "1", "splits that arrived at the gateway", _GATEWAY)
PROPAGATION_LONGEST = _gauge("gateway_propagation_seconds_max", "s", "the longest such time", _GATEWAY)
PROPAGATION_LAST = _gauge("gateway_propagation_seconds_last", "s", "the last such time", _GATEWAY)
PROPAGATION_UNMEASURED = _total("gateway_propagation_unmeasured", "1", "splits not timed: too many under way", _GATEWAY)
BREAKER_OPEN = _gauge("gateway_breaker_open", "1", "1 while the gateway is left alone, 0.5 while it is tried", _GATEWAY)
BREAKER_OPENED = _total("gateway_breaker_opened", "1", "how often the circuit breaker opened", _GATEWAY)
BREAKER_TURNED_AWAY = _total("gateway_breaker_turned_away", "1", "calls not made while it was open", _GATEWAY)
DESIRED: Mapping[str, Metric] = MappingProxyType(
    {name: _total(f"desired_{name}", "1", says) for name, says in DESIRED_COUNTS.items()}
)
_OF_GATEWAY = (
    PROPAGATION_SECONDS, PROPAGATIONS, PROPAGATION_LONGEST, PROPAGATION_LAST, PROPAGATION_UNMEASURED, BREAKER_OPEN,
    BREAKER_OPENED, BREAKER_TURNED_AWAY,
)  # fmt: skip

MEASURED = (
    READY, STALLED, PARTITIONS, LAG_RECORDS, LAG_SECONDS, WATERMARK_DELAY, OPEN_PANES, SILENT, UNFLUSHED, SERVICES,
    RECOVERY_SECONDS, RESIDENT, UP, FOLDED, SENT, FLUSHES, FLUSH_SECONDS, WAITED_SECONDS, REBALANCES, CPU_SECONDS,
    RESTARTS, LAST_EXIT, *_OF_GATEWAY, *DESIRED.values(),
)  # fmt: skip

# ---- what the parts count --------------------------------------------------------------------------------------------
COUNTED = (
    _counted("codec", "compat", "events", "events read in a form that is accepted but not CloudEvents' Kafka binding"),
    _counted("codec", "aliased", "events", "events that used another name of a field"),
    _counted(
        "codec", "alias_conflict", "events", "events with one field under two names and two values; the canonical won"
    ),
    _counted("codec", "unknown_fields", "events", "events with fields nobody reads"),
    _counted(
        "codec", "service_conflict", "events", "feedback whose service is not the one of its receipt; the receipt won"
    ),
    _counted("codec", "internal_error", "events", "events the decoder itself failed on: a defect, please report it"),
    _counted("ingest", "counted", "events", "events folded into a pane"),
    _counted("ingest", "duplicates", "events", "events whose id was already folded in this pane and partition"),
    _counted("ingest", "late", "events", "events after their pane had closed: spend and totals, never statistics"),
    _counted("ingest", "unattributed", "events", "feedback without a receipt: it counts for its service, for no arm"),
    _counted("ingest", "overflow_cells", "events", "events counted under `other`: their pane had its bound of cells"),
    _counted("ingest", "control", "events", "commands, alerts and outcomes passed on as facts"),
    _counted("ingest", "ignored", "events", "well-formed events this stage has no use for"),
    _counted("ingest", "rejected", "events", "events sent to the dead letters", "reason"),
    _counted(
        "optimize", "runs", "1", "what was decided and came of it, by kind (decided, refused, rolled-back...)",
        "outcome", "llm.optimization.runs",
    ),
    _counted("optimize", "failed_steps", "1", "steps of a service that a defect cost: see findings"),
    _counted("optimize", "unreadable_facts", "records", "facts that cannot be decoded: of a newer version, or damaged"),
    _counted("optimize", "after_close", "1", "partials of panes that had already closed"),
    _counted("optimize", "repeated_commands", "1", "commands produced again (same id and data): obeyed once"),
    _counted("optimize", "shadowed", "events", "requests told by the other kind of evidence: counted once already"),
    _counted("optimize", "failed_analyses", "1", "panes whose findings a defect cost: please report it"),
    _counted("optimize", "refused_services", "1", "partials of services beyond optimize.max_services"),
    _counted("lane", "batches_unowned", "batches", "fetched batches of partitions that were no longer owned"),
    _counted("lane", "batches_repeated", "batches", "fetched batches that were folded before"),
    _counted("lane", "batches_after_hole", "batches", "fetched batches that did not continue where the fold stood"),
    _counted("lane", "resyncs", "1", "seeks back to where the fold stood"),
    _counted("lane", "records_lost_to_retention", "records", "records the broker had deleted before they were read"),
    _counted("lane", "commits", "1", "commit points offered to the group", "verdict"),
    _counted("host", "ticks", "1", "rounds of calls to the outside"),
    _counted("host", "ticks_failed", "1", "rounds that failed"),
    _counted("host", "exports_failed", "1", "pushes of metrics that the OTLP endpoint did not take"),
    _counted("actuate", "applied", "1", "splits a gateway took"),
    _counted("actuate", "reverted", "1", "frozen splits a gateway took"),
    _counted("actuate", "ignored", "1", "splits a gateway ignored, because it has a newer one"),
    _counted("actuate", "conflicts", "1", "calls refused because the gateway had changed meanwhile"),
    _counted("actuate", "unavailable", "1", "calls without a usable answer"),
    _counted("actuate", "refused", "1", "splits a gateway refused"),
    _counted("actuate", "drifted", "1", "changes made by hand at a gateway"),
    _counted("actuate", "unreadable", "records", "splits and commands that could not be decoded"),
    _counted("actuate", "over_limit", "services", "services beyond the bound of the actuator"),
    _counted("actuate", "left_out", "services", "services whose gateway is not configured here"),
)  # fmt: skip
UNCATALOGUED = Metric(
    key="uncatalogued",
    kind="counter",
    unit="1",
    help="counts that are in no catalogue",
    labels=("agent", "stage", "count"),
)

# ---- the API (llm-optimizer serve) ---------------------------------------------------------------------------------
API_LAG = _gauge("api_readmodel_lag_records", "records", "records of its topics the read model has not taken yet", ())
API_CAUGHT_UP = _gauge("api_readmodel_caught_up", "1", "1: the read model has every record", ())
API_MET = _total(
    "api_readmodel_met", "records", "records the read model did not add: repeated, conflicts...", ("kind", "label")
)
API_COMMANDS = _total("api_commands_sent", "1", "orders written to the commands topic", ())
API_EVENTS = _total("api_events", "events", "events callers sent, by what became of them", ("outcome",))
API_ANSWERED = _total("api_answered", "1", "HTTP requests by status", ("status",))
API_CONNECTIONS = _total("api_connections_refused", "1", "connections closed: too many, or too slow", ("why",))
API_STREAMS = _gauge("api_streams", "1", "open event streams", ())
API_STREAMS_ENDED = _total(
    "api_streams_ended", "1", "event streams that ended: left, renewed, too_slow, stopped, or refused", ("why",)
)
API = (
    API_LAG,
    API_CAUGHT_UP,
    API_MET,
    API_COMMANDS,
    API_EVENTS,
    API_ANSWERED,
    API_CONNECTIONS,
    API_STREAMS,
    API_STREAMS_ENDED,
)

METRICS: tuple[Metric, ...] = (*MEASURED, *COUNTED, UNCATALOGUED, *API)
CATALOGUE: Mapping[tuple[Stage, str], Metric] = MappingProxyType({(m.stage, m.count): m for m in COUNTED if m.stage})
"""(stage, count) -> counted metric."""
