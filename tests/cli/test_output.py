import json

import pytest

from app.cli.output import write_columns, write_json, write_json_line


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]):
    write_columns([("a", 1), ("longer", 22)], header=("NAME", "N"))
    assert capsys.readouterr().out == "NAME    N\na       1\nlonger  22\n"


def test_no_rows_print_nothing(capsys: pytest.CaptureFixture[str]):
    write_columns([], header=("NAME",))
    assert capsys.readouterr().out == ""


def test_json_is_sorted_and_ends_in_a_newline(capsys: pytest.CaptureFixture[str]):
    write_json({"b": (1, 2), "a": None})
    shown = capsys.readouterr().out
    assert shown.endswith("}\n")
    assert list(json.loads(shown)) == ["a", "b"]


def test_a_json_line_is_one_line(capsys: pytest.CaptureFixture[str]):
    write_json_line({"b": "x\ny", "a": 1})
    assert capsys.readouterr().out == '{"a":1,"b":"x\\ny"}\n'
