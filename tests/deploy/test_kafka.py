import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "kafka" / "kafka.py"


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("deploy_kafka", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["deploy_kafka"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


kafka = _module()


def broker(tmp_path: Path, port: int = 19_099):
    return kafka.instance(
        {"KAFKA_PORT": str(port), "KAFKA_HOME_DIR": str(tmp_path), "KAFKA_LIB_DIR": str(tmp_path / "lib")}
    )


def test_instances_on_different_ports_share_nothing_but_the_jars():
    one, two = kafka.instance({}), kafka.instance({"KAFKA_PORT": "19092"})
    assert one.address == "127.0.0.1:9092"
    assert one.home != two.home
    assert one.lib == two.lib


@pytest.mark.parametrize("port", ["", "x", "0", "70000", "-1"])
def test_a_port_that_is_none_is_refused_with_what_is_allowed(port: str):
    with pytest.raises(kafka.BrokerError, match="must be a port number from 1 to 65535"):
        kafka.instance({"KAFKA_PORT": port})


def test_the_pid_of_another_program_is_not_a_running_broker(tmp_path: Path):
    found = broker(tmp_path)
    found.pid_file.write_text(str(os.getpid()))
    assert kafka.running_pid(found) is None


def test_stop_leaves_another_program_alone_and_forgets_the_stale_pid(tmp_path: Path):
    found = broker(tmp_path)
    found.pid_file.write_text(str(os.getpid()))
    assert "no Kafka of this folder runs" in asyncio.run(kafka.stop(found))
    assert not found.pid_file.exists()


def test_stop_ends_the_program_the_pid_file_names(tmp_path: Path):
    found = broker(tmp_path)
    waiting = subprocess.Popen([sys.executable, "-c", "input()", str(found.properties)], stdin=subprocess.PIPE)
    found.pid_file.write_text(str(waiting.pid))
    assert kafka.running_pid(found) == waiting.pid
    assert "has stopped" in asyncio.run(kafka.stop(found))
    waiting.communicate()
    assert waiting.returncode == -15


def test_a_port_that_is_taken_by_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kafka, "missing_tools", list)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(kafka.BrokerError, match=f"something else listens on 127.0.0.1:{port}"):
            asyncio.run(kafka.start(broker(tmp_path, port)))


def test_without_java_and_maven_start_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(kafka.BrokerError, match="java and mvn not found: install a Java 17 runtime and Maven"):
        asyncio.run(kafka.start(broker(tmp_path)))


def test_a_port_that_answers_with_something_else_is_no_broker():
    async def scene() -> bool:
        async def reject(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(reject, "127.0.0.1", 0) as server:
            return bool(await kafka._answers(server.sockets[0].getsockname()[1]))

    assert asyncio.run(scene()) is False


@pytest.mark.parametrize("home", [f"/some/place/{n}" for n in range(64)])
def test_cluster_ids_are_22_characters_and_never_look_like_an_option(home: str):
    found = kafka._cluster_id(kafka.instance({"KAFKA_HOME_DIR": home}))
    assert len(found) == 22
    assert not found.startswith("-")


def test_topics_are_never_made_by_accident(tmp_path: Path):
    assert "auto.create.topics.enable=false\n" in kafka._properties(broker(tmp_path))


def test_the_log_of_the_run_before_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = broker(tmp_path)
    found.log.write_text("earlier")
    monkeypatch.setattr(kafka, "_java", lambda _: [sys.executable, "-c", "pass"])
    assert kafka._spawn(found).wait() == 0
    assert found.log.with_suffix(".log.1").read_text() == "earlier"


def test_nodes_of_a_cluster_share_its_id_and_copy_everything(tmp_path: Path):
    voters = "1@127.0.0.1:19101,2@127.0.0.1:19102,3@127.0.0.1:19103"
    nodes = [
        kafka.instance({"KAFKA_HOME_DIR": str(tmp_path / n), "KAFKA_NODE": n, "KAFKA_VOTERS": voters}) for n in "123"
    ]
    assert len({kafka._cluster_id(node) for node in nodes}) == 1
    text = kafka._properties(nodes[1])
    assert "node.id=2\n" in text
    assert "CONTROLLER://127.0.0.1:19102\n" in text
    assert f"controller.quorum.voters={voters}\n" in text
    assert "default.replication.factor=3\n" in text
    assert "\nmin.insync.replicas=2\n" in text


def test_a_node_alone_copies_nothing(tmp_path: Path):
    text = kafka._properties(broker(tmp_path))
    assert "default.replication.factor=1\n" in text
    assert "\nmin.insync.replicas=1\n" in text


@pytest.mark.parametrize(
    ("node", "voters"), [("4", "1@h:1,2@h:2"), ("x", ""), ("1", "1@h"), ("1", "h:1"), ("", "1@h:1")]
)
def test_a_place_in_the_cluster_that_is_none_is_refused(node: str, voters: str):
    with pytest.raises(kafka.BrokerError, match="must be"):
        kafka.instance({"KAFKA_NODE": node, "KAFKA_VOTERS": voters})
