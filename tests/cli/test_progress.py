import io

import pytest

from app.cli import progress as bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def reported(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, shown_after_s: float) -> str:
    monkeypatch.setattr(bars, "SHOWN_AFTER_S", shown_after_s)
    monkeypatch.setattr("sys.stderr", stream)
    with bars.progress("reading") as report:
        report(1, 4)
        report(3, 4)
    return stream.getvalue()


def test_nothing_is_shown_before_its_time_or_where_nobody_looks(monkeypatch: pytest.MonkeyPatch):
    assert reported(monkeypatch, Terminal(), 60.0) == ""
    assert reported(monkeypatch, io.StringIO(), 0.0) == ""


def test_what_takes_long_is_shown_with_what_it_is(monkeypatch: pytest.MonkeyPatch):
    assert "reading" in reported(monkeypatch, Terminal(), 0.0)
