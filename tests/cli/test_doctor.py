import json
from pathlib import Path

import pytest

from app.adapters.kafka.admin_memory import MemoryAdmin
from app.cli import doctor
from app.cli.main import run
from app.settings import Settings, load_with_origins
from app.topics import Existing, declared


def test_a_package_that_also_provides_agents_is_broken():
    assert doctor.import_names(["llm-auto-optimizer"]).result == "ok"
    finding = doctor.import_names(["openai-agents", "llm-auto-optimizer"])
    assert finding.result == "broken"
    assert "openai-agents" in finding.found


def test_another_version_of_a_library_whose_internals_are_read_is_broken():
    results = [f.result for f in doctor.pinned_versions({"faust-streaming": "0.15.3", "aiokafka": "0.15.0"})]
    assert results == ["ok", "broken"]


@pytest.mark.parametrize(("version", "result"), [((3, 11, 0), "ok"), ((3, 14, 1), "ok"), ((3, 10, 9), "broken")])
def test_python_must_be_new_enough(version: tuple[int, ...], result: str):
    assert doctor.python_version(version).result == result


def test_variables_of_stores_that_are_not_used_are_a_warning():
    assert list(doctor.unused_variables({})) == []
    (finding,) = doctor.unused_variables({"REDIS_URL": "redis://x"})
    assert (finding.result, finding.found) == ("warning", "REDIS_URL set")


def test_a_setting_without_effect_is_a_warning():
    assert list(doctor.unread_settings(load_with_origins())) == []
    (finding,) = doctor.unread_settings(load_with_origins(env={"REGISTRY_URL": "http://registry:8080"}))
    assert finding.result == "warning"
    assert finding.found == "platform.registry_url is set (environment variable REGISTRY_URL)"


def test_a_state_folder_that_can_be_made_is_ok_and_is_not_made(tmp_path: Path):
    assert doctor.state_folder(tmp_path / "a" / "b").result == "ok"
    assert not (tmp_path / "a").exists()


def test_a_state_folder_inside_a_file_is_broken(tmp_path: Path):
    (tmp_path / "file").touch()
    finding = doctor.state_folder(tmp_path / "file" / "state")
    assert finding.result == "broken"
    assert "--set state.dir=" in finding.mend


def test_missing_topics_come_with_the_command_that_makes_them():
    found = list(doctor.topics_of(Settings(), MemoryAdmin(), "llm-optimizer topics apply"))
    assert [f.result for f in found] == ["ok", "broken"]
    assert found[1].mend.endswith("mend it with: llm-optimizer topics apply")


def test_topics_as_declared_are_ok():
    admin = MemoryAdmin({topic.name: Existing(8, topic.config) for topic in declared(Settings().topics)})
    assert [f.result for f in doctor.topics_of(Settings(), admin, "")] == ["ok", "ok"]


def test_the_command_fails_without_a_broker_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(doctor, "KAFKA_WITHIN_S", 0.2)
    assert run(["--set", "kafka.bootstrap_servers=127.0.0.1:1", "doctor", "--json"]) == 1
    found = {f["check"]: f for f in json.loads(capsys.readouterr().out)}
    assert found["kafka"]["result"] == "broken"
    assert found["settings"]["result"] == "ok"


def test_broken_settings_are_a_finding_and_end_the_questions(capsys: pytest.CaptureFixture[str]):
    assert run(["--set", "web.port=x", "doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found[-1]["check"] == "settings"
    assert "web.port is 'x'" in found[-1]["mend"]
