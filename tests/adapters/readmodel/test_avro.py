"""Aggregates and findings may come as Avro: the model is the same."""

from app.adapters.codec.avro_write import encoder
from app.adapters.readmodel.sqlite import SqliteStore
from tests.adapters.readmodel.worlds import ABOUT, ROLES, outputs, records, seen

SHOWN = (
    "SELECT id, service, arm, window_s, start_s, count, cost_usd, latency_ms_p95, histogram FROM aggregates ORDER BY id"
)


def test_aggregates_in_avro_are_the_same_rows(tmp_path):
    as_json, as_avro = (
        SqliteStore(tmp_path / "a.sqlite", ROLES, ABOUT),
        SqliteStore(tmp_path / "b.sqlite", ROLES, ABOUT),
    )
    encode = encoder(["aggregates", "aggregates_hourly"], {"aggregates": "a", "aggregates_hourly": "h"}, None)
    told = [o for o in outputs() if o.type.endswith("aggregate")][:60]
    as_json.take(records(told)[2:])
    written = [encode(output) for output in told]
    as_avro.take(seen(o.role, n, r.value or b"", r.headers) for n, (o, r) in enumerate(zip(told, written, strict=True)))
    rows = [tuple(row) for row in as_json.query(SHOWN)]
    assert len(rows) == 60
    assert [tuple(row) for row in as_avro.query(SHOWN)] == rows
    assert as_avro.counters() == {}
    as_json.close()
    as_avro.close()
