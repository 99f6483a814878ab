import json

import pytest

from app.cli.main import run
from app.settings.model import FIELDS

SECRET = ["--set", "kafka.username=me", "--set", "kafka.password=hush"]


def test_show_prints_value_and_origin_of_every_setting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KAFKA_BROKERS", "h:1")
    assert run(["--set", "web.port=81", "config", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert len(shown) == len(FIELDS)
    assert shown["web.port"] == {"value": 81, "origin": "flag web.port", "default": 8080}
    assert shown["kafka.bootstrap_servers"]["origin"] == "environment variable KAFKA_BROKERS"


def test_show_changed_leaves_out_the_defaults(capsys: pytest.CaptureFixture[str]):
    assert run(["--set", "web.port=81", "config", "show", "--changed"]) == 0
    assert capsys.readouterr().out == "SETTING   VALUE  ORIGIN\nweb.port  81     flag web.port\n"


@pytest.mark.parametrize("form", [[], ["--json"], ["--docs"], ["--docs", "--json"]])
def test_secrets_are_masked_in_every_form(form: list[str], capsys: pytest.CaptureFixture[str]):
    assert run([*SECRET, "config", "show", *form]) == 0
    shown = capsys.readouterr().out
    assert "hush" not in shown
    assert "********" in shown


def test_show_docs_explains_each_setting(capsys: pytest.CaptureFixture[str]):
    assert run(["config", "show", "--docs"]) == 0
    shown = capsys.readouterr().out
    assert all(field.reason in shown for field in FIELDS.values())
    assert "Variable: LLM_OPTIMIZER__INGEST__LATENESS_S" in shown


def test_validate_says_yes_or_why_not(capsys: pytest.CaptureFixture[str]):
    assert run(["--set", "web.port=81", "config", "validate"]) == 0
    assert capsys.readouterr().out == "the settings are valid; 1 differ from the defaults\n"
    assert run(["--set", "web.prot=81", "config", "validate"]) == 78
    assert "did you mean 'port'?" in capsys.readouterr().err


def test_a_file_given_by_flag_is_read(capsys: pytest.CaptureFixture[str], tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("[log]\nlevel = 'DEBUG'\n")
    assert run(["--config", str(path), "config", "show", "--changed"]) == 0
    assert f"{path}: [log] level" in capsys.readouterr().out
