import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

import app
from app.adapters.kafka.admin_memory import MemoryAdmin
from app.cli import doctor, doctor_broker, doctor_http
from app.cli.main import run
from app.settings import Settings, load, load_with_origins
from app.topics import Existing, declared


def test_a_package_that_also_provides_agents_is_broken():
    assert doctor.import_names({"agents": ["llm-auto-optimizer"], "rich": ["rich"]}).result == "ok"
    finding = doctor.import_names({"agents": ["openai-agents", "llm-auto-optimizer"], "app": ["website"]})
    assert finding.result == "broken"
    assert "openai-agents also provides the package `agents`" in finding.found
    assert "website also provides the package `app`" in finding.found


def test_a_folder_of_the_same_name_that_hides_ours_is_broken():
    home = Path("/opt/optimizer")
    assert doctor.imported_from(dict.fromkeys(doctor.NAMES, home)).result == "ok"
    finding = doctor.imported_from({"app": home, "agents": Path("/home/me/bot"), "tables": None})
    assert finding.result == "broken"
    assert "`agents` comes from /home/me/bot" in finding.found
    assert doctor.origin("app") == doctor.origin("agents") == Path(__file__).parents[2]


def test_another_version_of_a_library_whose_internals_are_read_is_broken():
    results = [f.result for f in doctor.pinned_versions({"faust-streaming": "0.15.3", "aiokafka": "0.15.0"})]
    assert results == ["ok", "broken"]


@pytest.mark.parametrize(("version", "result"), [((3, 11, 0), "ok"), ((3, 14, 1), "ok"), ((3, 10, 9), "broken")])
def test_python_must_be_new_enough(version: tuple[int, ...], result: str):
    assert doctor.python_version(version).result == result


def test_every_source_in_c_is_a_module_that_should_load():
    modules = doctor.native_modules(Path(app.__file__).parent)
    assert "app.adapters.kafka.native._records" in modules
    assert "app.core.native._fold" in modules


def test_a_module_that_is_older_than_its_source_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made, source = tmp_path / "made_before.py", tmp_path / "made_before.c"
    made.touch()
    source.touch()
    monkeypatch.syspath_prepend(tmp_path)
    os.utime(made, (2_000, 2_000))
    os.utime(source, (1_000, 1_000))
    assert doctor.hot_loops(["made_before"]).found == "C"
    os.utime(source, (3_000, 3_000))
    finding = doctor.hot_loops(["made_before"])
    assert (finding.result, finding.found) == ("warning", "C, but made_before is older than its source")


def test_what_runs_in_python_is_said_with_the_reason():
    assert doctor.hot_loops(["json", "csv"]).found == "C"
    finding = doctor.hot_loops(["json", "app.core.native._missing"])
    assert finding.result == "warning"
    assert finding.found.startswith("Python, because app.core.native._missing does not load (No module named")
    assert "make native" in finding.mend


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
    found = list(doctor_broker.topics_of(Settings(), MemoryAdmin(), "llm-optimizer topics apply"))
    assert [f.result for f in found] == ["ok", "broken"]
    assert found[1].mend.endswith("mend it with: llm-optimizer topics apply")


def test_topics_as_declared_are_ok():
    admin = MemoryAdmin({topic.name: Existing(8, topic.config) for topic in declared(Settings().topics)})
    assert [f.result for f in doctor_broker.topics_of(Settings(), admin, "")] == ["ok", "ok"]


def test_the_command_fails_without_a_broker_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(doctor_broker, "WITHIN_S", 0.2)
    assert run(["--set", "kafka.bootstrap_servers=127.0.0.1:1", "doctor", "--json"]) == 1
    found = {f["check"]: f for f in json.loads(capsys.readouterr().out)}
    assert found["kafka"]["result"] == "broken"
    assert found["settings"]["result"] == "ok"


def test_broken_settings_are_a_finding_and_end_the_questions(capsys: pytest.CaptureFixture[str]):
    assert run(["--set", "web.port=x", "doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found[-1]["check"] == "settings"
    assert "web.port is 'x'" in found[-1]["mend"]


@pytest.mark.parametrize(
    ("requests", "result", "found"),
    [
        ({}, "ok", "the broker does not say"),
        ({0: (0, 3), 18: (0, 2)}, "broken", "older than 2.3"),
        ({0: (0, 9), 44: (0, 1), 60: (0, 1)}, "ok", "2.8 or newer"),
        ({1: (4, 18), 44: (0, 1), 75: (0, 0)}, "ok", "4.0 or newer"),
    ],
)
def test_the_version_is_told_by_the_requests_a_broker_knows(requests, result, found):
    finding = doctor_broker.version_of(requests)
    assert finding.result == result
    assert finding.found.startswith(found)


@pytest.mark.parametrize(
    ("newest_ms", "just_now_ms", "result", "says"),
    [
        (0, [], "ok", "nothing came"),
        (900_000, [999_900], "ok", "within 5 s"),
        (1_090_000, [], "warning", "at least 90 s ahead"),
        (900_000, [940_000], "warning", "60 s behind"),
    ],
)
def test_the_clocks_are_compared_by_append_times(newest_ms, just_now_ms, result, says):
    finding = doctor_broker.skew(newest_ms, just_now_ms, 1_000.0)
    assert (finding.result, says in finding.found) == (result, True), finding


class Answers(BaseHTTPRequestHandler):
    """Answers every path with the status it names first: /503/ready."""

    def do_GET(self):
        self.send_response(int(self.path.split("/")[1]) if self.path[1:4].isdigit() else 404)
        self.end_headers()

    def log_message(self, *_: object):
        pass


@pytest.fixture(scope="module")
def port():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def settings_with(**sections: object):
    return load(env={f"LLM_OPTIMIZER__{name.upper()}": str(value) for name, value in sections.items()})


def test_a_registry_is_well_when_it_lists_its_subjects(port):
    def found(status):
        url = f"http://127.0.0.1:{port}/{status}"
        return doctor_http.registry(settings_with(codec__schema_registry_url=url))

    assert [found(status).result for status in (200, 401, 500)] == ["ok", "broken", "broken"]
    assert "credentials" in found(401).mend
    assert doctor_http.registry(Settings()).result == "ok"
    gone = doctor_http.registry(settings_with(codec__schema_registry_url="http://127.0.0.1:1"))
    assert (gone.result, "no answer" in gone.found) == ("broken", True)


def test_a_gateway_that_knows_no_such_service_is_well_and_one_that_does_not_listen_is_not(port):
    def found(kind, url):
        return doctor_http.gateway(settings_with(gateway__kind=kind, gateway__url=url)).result

    assert found("orchestrator", f"http://127.0.0.1:{port}") == "ok"
    assert found("orchestrator", f"http://127.0.0.1:{port}/403") == "broken"
    assert found("orchestrator-grpc", f"http://127.0.0.1:{port}") == "ok"
    assert found("orchestrator-grpc", "http://127.0.0.1:1") == "broken"
    assert doctor_http.gateway(Settings()).found == "kind none: nothing is called"


def test_a_worker_that_does_not_run_here_is_a_warning_and_another_program_is_broken(port):
    assert doctor_http.worker(settings_with(web__port=1)).result == "warning"
    strange = doctor_http.worker(settings_with(web__port=port))
    assert (strange.result, "web.port" in strange.mend) == ("broken", True)
    assert doctor_http.api(settings_with(api__port=1)).result == "ok"
