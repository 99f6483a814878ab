import json

import pytest

from app.cli.main import run


def test_version_names_what_bug_reports_need(capsys: pytest.CaptureFixture[str]):
    assert run(["version", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["faust-streaming"] == "0.15.3"
    assert found["llm-auto-optimizer"] != "missing"
    assert found["python"].startswith("3.")
