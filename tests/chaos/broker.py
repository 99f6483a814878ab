"""A real broker of one's own that may be killed, stopped and started again, and what only an administrator does."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from tests.e2e.harness.broker import SCRIPT, Broker, free_port


class OwnBroker:
    """One Kafka on a free port; its data survive ``kill`` and ``start``."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="chaos-kafka-"))
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._env = {**os.environ, "KAFKA_PORT": str(port), "KAFKA_HOME_DIR": str(self._home)}
        self._env.setdefault("KAFKA_JVM", "-Xmx768m")

    @property
    def broker(self) -> Broker:
        return Broker(self.address, real=True)

    def start(self) -> None:
        """Start it, or start it again, and wait until it answers."""
        done = subprocess.run(
            [sys.executable, SCRIPT, "start"], env=self._env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"Kafka does not start: {done.stderr}")

    def kill(self) -> None:
        """kill -9."""
        os.kill(self._pid, signal.SIGKILL)

    def pause(self, seconds: float) -> None:
        """SIGSTOP, and on after ``seconds``: sockets stay open, nothing answers."""
        pid = self._pid
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    @property
    def _pid(self) -> int:
        return int((self._home / "kafka.pid").read_text())

    def alter(self, config: Mapping[str, str]) -> None:
        """Set dynamic configuration of the broker."""
        entries = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in config.items()]
        resource = ConfigResource(ResourceType.BROKER, "1", incremental_configs=entries)
        admin = self.admin()  # futures of a client that is gone never end
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(20)

    def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        """What retention does: forget what lies before ``offsets`` (partition -> offset; -1: everything)."""
        wanted = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        admin = self.admin()
        for future in admin.delete_records(wanted).values():
            future.result(20)

    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address, "log_level": 2})

    def close(self) -> None:
        subprocess.run([sys.executable, SCRIPT, "stop"], env=self._env, check=False, capture_output=True)
        shutil.rmtree(self._home, ignore_errors=True)


def why_no_kafka() -> str:
    """Why a real broker cannot be started here; empty: it can."""
    found = subprocess.run([sys.executable, SCRIPT, "available"], capture_output=True, text=True, check=False)
    return (found.stderr or found.stdout).strip() if found.returncode else ""


@contextmanager
def own_broker() -> Iterator[OwnBroker]:
    """A started broker, ended with the block."""
    broker = OwnBroker()
    try:
        broker.start()
        yield broker
    finally:
        broker.close()
