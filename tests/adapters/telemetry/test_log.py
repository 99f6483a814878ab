import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from app.adapters.telemetry import configure_logging
from app.settings import Log


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def configured(stream: io.StringIO, **settings: str) -> io.StringIO:
    configure_logging(Log(**settings), stream)  # type: ignore[arg-type]  # the literals of the table below
    return stream


def test_away_from_a_terminal_each_line_is_one_json_object():
    stream = configured(io.StringIO())
    structlog.get_logger("app.x").warning("partition lost", partition=3)
    logging.getLogger("app.y").info("joined %s", "group")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["event"], first["partition"], first["level"], first["logger"]) == (
        "partition lost",
        3,
        "warning",
        "app.x",
    )
    assert (second["event"], second["level"], second["logger"]) == ("joined group", "info", "app.y")
    assert first["timestamp"].endswith("Z")


def test_on_a_terminal_lines_are_for_people():
    stream = configured(Terminal())
    structlog.get_logger("app.x").info("ready", port=1)
    assert "ready" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize(("form", "is_json"), [("json", True), ("human", False)])
def test_the_format_may_be_chosen(form: str, is_json: bool):
    stream = configured(Terminal(), format=form)
    logging.getLogger("app").error("bad")
    assert stream.getvalue().startswith("{") is is_json


def test_lines_below_the_level_are_not_written():
    stream = configured(io.StringIO(), level="WARNING")
    structlog.get_logger("app").info("a")
    logging.getLogger("app").info("b")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("form", ["json", "human"])
def test_a_traceback_shows_no_local_variables(form: str):
    stream = configured(io.StringIO(), format=form)
    password = "hu" * 2
    try:
        raise ValueError("broken" if password else "")
    except ValueError:
        logging.getLogger("app").exception("failed")
    assert "ValueError: broken" in stream.getvalue()
    assert password not in stream.getvalue()


def test_configuring_twice_does_not_write_twice():
    configured(io.StringIO())
    stream = configured(io.StringIO())
    logging.getLogger("app").info("once")
    assert len(stream.getvalue().splitlines()) == 1


def test_values_json_cannot_hold_are_written_as_text():
    stream = configured(io.StringIO())
    structlog.get_logger("app").info("odd", value=object)
    assert "<class 'object'>" in json.loads(stream.getvalue())["value"]
