import io
import sys
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from app.adapters.readmodel import parquet
from app.adapters.readmodel.answers import WindowSums
from app.adapters.readmodel.parquet import ParquetError, columns_of, columns_of_row, write_parquet
from app.adapters.readmodel.rows import ROWS


def written(rows, columns):
    out = io.BytesIO()
    assert write_parquet(rows, columns, out) == len(rows)
    return pq.read_table(io.BytesIO(out.getvalue()))


def test_every_value_comes_back_in_its_own_type():
    columns = {"name": str, "n": int, "share": float, "whole": bool, "at": datetime, "said": str, "packed": bytes}
    row = {
        "name": "=a", "n": 2**60, "share": 0.25, "whole": 1, "at": "2026-01-31T12:00:00Z", "said": {"a": [1]},
        "packed": b"\0", "other": 1,
    }  # fmt: skip
    table = written([row, {"name": ""}], columns)
    assert table.column_names == list(columns)
    assert table.to_pylist() == [
        {"name": "=a", "n": 2**60, "share": 0.25, "whole": True, "at": datetime(2026, 1, 31, 12, tzinfo=UTC),
         "said": '{"a":[1]}', "packed": b"\0"},
        {**dict.fromkeys(columns), "name": ""},
    ]  # fmt: skip


def test_rows_go_out_in_groups_and_no_rows_are_a_table_too(monkeypatch):
    monkeypatch.setattr(parquet, "GROUP", 3)
    out = io.BytesIO()
    assert write_parquet(({"n": n} for n in range(8)), {"n": int}, out) == 8
    file = pq.ParquetFile(io.BytesIO(out.getvalue()))
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [3, 3, 2]
    assert written([], {"n": int}).column_names == ["n"]


def test_every_table_has_columns_and_times_are_times():
    for table in (*(row.table for row in ROWS), "experiments"):
        columns = columns_of_row(table)
        assert not {"time_s", "append_ms", "histogram"} & set(columns)
        written([], columns)
    assert columns_of_row("events")["time"] is datetime
    assert columns_of(WindowSums, ("start",))["latency_ms_p50"] is float


def test_without_the_extra_the_error_names_it(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ParquetError, match=r"llm-auto-optimizer\[parquet\]"):
        write_parquet([], {"n": int}, io.BytesIO())
