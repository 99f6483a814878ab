import asyncio
import importlib.util
import os
import socket
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "registry" / "registry.py"


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("deploy_registry", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["deploy_registry"] = module
    spec.loader.exec_module(module)
    return module


registry = _module()


def of(tmp_path: Path, port: int = 19_098):
    return registry.instance({"REGISTRY_PORT": str(port), "REGISTRY_HOME_DIR": str(tmp_path)})


def test_instances_on_different_ports_share_nothing_but_the_program():
    one, two = registry.instance({}), registry.instance({"REGISTRY_PORT": "18082"})
    assert one.url == "http://127.0.0.1:18081/apis/ccompat/v7"
    assert one.home != two.home
    assert one.app == two.app


def test_a_port_that_is_none_is_refused_with_its_name():
    with pytest.raises(registry.UnusableError, match="REGISTRY_PORT is 'http'"):
        registry.instance({"REGISTRY_PORT": "http"})


def test_a_pid_of_another_program_is_never_stopped(tmp_path: Path):
    one = of(tmp_path)
    one.pid_file.write_text(str(os.getpid()))
    assert registry.running_pid(one) is None
    asyncio.run(registry.stop(one))
    assert not one.pid_file.exists()


def test_status_of_what_does_not_run_says_how_to_start_it(tmp_path: Path):
    with pytest.raises(registry.UnusableError, match="make registry"):
        asyncio.run(registry.status(of(tmp_path)))


def test_a_taken_port_is_told_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "available", lambda: "")
    refused = pytest.raises(registry.UnusableError, match="something else listens")
    with socket.create_server(("127.0.0.1", 0)) as taken, refused:
        asyncio.run(registry.start(of(tmp_path, taken.getsockname()[1])))


def test_without_java_and_maven_it_is_not_available(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(registry.shutil, "which", lambda _: None)
    assert registry.main(["available"]) == 1
    assert "java and mvn not found" in capsys.readouterr().err
