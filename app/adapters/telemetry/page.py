"""docs/metrics.md, written from the catalogue: ``python -m app.adapters.telemetry.page``."""

from collections.abc import Iterable
from pathlib import Path

from app.adapters.telemetry.catalogue import API, COUNTED, MEASURED, UNCATALOGUED
from app.adapters.telemetry.metric import Metric

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"

_HEAD = """# Metrics

Written by `python -m app.adapters.telemetry.page` from `app/adapters/telemetry/catalogue.py`; a test compares the two.

Every worker shows them at `/metrics` of `web.port` (Prometheus text), its three agents together, told apart by the
label `agent`. With `telemetry.otlp_endpoint` (or `OTEL_EXPORTER_OTLP_ENDPOINT`) every agent also pushes its own by OTLP
each `telemetry.export_interval_s`, under the same names without `_total`; a name in brackets is the one used there
instead. Counters begin at 0 with each process. `source` is a topic and partition.

`/health/live` fails when a source has lag and does not move for `web.stall_s`, when nothing at all was fetched for as
long, or when an agent does not answer. `/ready` says that every assigned partition has its engine and stands where its
last owner stood; lag alone is no reason not to be ready.

Of the platform's own names `llm.optimization.runs` is used as it is. `llm.optimization.duration` is
`llm_optimizer_flush_seconds_total` by `llm_optimizer_flushes_total` of the agent `optimize`: one checkpoint steps all
services together. What was saved (`llm.optimization.tokens_saved`, `.cost_saved`) is an estimate with an interval, no
counter: `llm-optimizer savings`, [savings](savings-and-budgets.md).

## What to alarm on

"""
_ALARMS = (
    (
        "llm_optimizer_silent_sources above 0",
        "a partition does not move and holds every close; after `optimize.silent_s` minutes come with `complete=false`",
    ),
    (
        "llm_optimizer_lag_seconds grows for minutes",
        "sources are faster than the workers: start more of them ([scaling](scaling.md))",
    ),
    ("llm_optimizer_stalled_sources above 0", "a position stands although there is lag: start the worker again"),
    ("llm_optimizer_ready is 0 for longer than a rebalance", "partitions without engine, or state not yet recovered"),
    (
        "llm_optimizer_agent_restarts_total rises",
        "the log and `llm_optimizer_agent_last_exit_code` say why",
    ),
    (
        "llm_optimizer_lane_records_lost_to_retention_total above 0",
        "retention is shorter than an outage was: counts miss these records",
    ),
    (
        "llm_optimizer_ingest_rejected_total rises",
        "producers send what cannot be read; `llm.dead-letters` has it with the reason",
    ),
    ("llm_optimizer_backpressure_seconds_total rises", "the broker acks more slowly than events are folded"),
)


def page() -> str:
    """The whole text."""
    alarms = "\n".join(("| when | means |", "|---|---|", *(f"| {when} | {means} |" for when, means in _ALARMS)))
    return (
        f"{_HEAD}{alarms}\n\n## Measured when asked\n\n{_table(MEASURED)}\n\n## Counted by the parts\n\n"
        f"{_table((*COUNTED, UNCATALOGUED))}\n\n## The API (`llm-optimizer serve`)\n\n{_table(API)}\n"
    )


def _table(metrics: Iterable[Metric]) -> str:
    rows = [
        f"| `{m.name}`{f' (`{m.standard}`)' if m.standard else ''} | {m.kind} | {m.unit} | "
        f"{', '.join(m.labels)} | {m.help} |"
        for m in metrics
    ]
    return "\n".join(("| name | type | unit | labels | says |", "|---|---|---|---|---|", *rows))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
