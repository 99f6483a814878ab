"""A real Kafka of one's own that may be killed, stopped and started again, and what only an administrator does."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.e2e.harness.broker import SCRIPT, Broker, free_port

START_S = 600.0
"""How long a node may take to start on a busy machine; the script itself gives up after a minute, as a person would."""
SLOW = "does not answer at"
"""What the script says of a node that still starts."""
ANSWER_S = 10.0
"""How long a node may take to say who leads; one that is stopped never answers, then another is asked."""

OFFSETS = "__consumer_offsets"
TRIES = 5
ELECT = """
import sys
from confluent_kafka import ElectionType
from confluent_kafka.admin import AdminClient
admin = AdminClient({"bootstrap.servers": sys.argv[1], "log_level": 2})
admin.elect_leaders(ElectionType.PREFERRED, None).result(60)
"""


class Node:
    """One process of Kafka on a free port; its data survive ``kill`` and ``start``."""

    def __init__(self, number: int, voters: str = "") -> None:
        self.number = number
        self._home = Path(tempfile.mkdtemp(prefix="chaos-kafka-"))
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._env = {**os.environ, "KAFKA_PORT": str(port), "KAFKA_HOME_DIR": str(self._home)}
        if voters:
            self._env |= {"KAFKA_NODE": str(number), "KAFKA_VOTERS": voters}
        self._env.setdefault("KAFKA_JVM", "-Xmx768m")

    def start(self) -> None:
        """Start it, or start it again, and wait until it answers: asked again when a busy machine was too slow."""
        deadline = time.monotonic() + START_S
        while (done := self._script("start")).returncode:
            if SLOW not in done.stderr or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka does not start: {done.stderr}")

    def _script(self, word: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, SCRIPT, word], env=self._env, capture_output=True, text=True, check=False
        )

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

    def close(self) -> None:
        """kill -9, since nobody needs the data: one of several waits half a minute for the others before it ends."""
        with suppress(OSError, ValueError):  # never started, or killed before
            self.kill()
        self._script("stop")
        shutil.rmtree(self._home, ignore_errors=True)


class OwnBroker:
    """A Kafka of one node or several, each of them broker and controller; topics have a copy on every node."""

    def __init__(self, nodes: int = 1) -> None:
        numbers = range(1, nodes + 1)
        voters = ",".join(f"{number}@127.0.0.1:{free_port()}" for number in numbers) if nodes > 1 else ""
        self.nodes = [Node(number, voters) for number in numbers]
        self._admin: AdminClient | None = None

    @property
    def address(self) -> str:
        return ",".join(node.address for node in self.nodes)

    @property
    def broker(self) -> Broker:
        return Broker(self.address, real=True)

    def start(self) -> None:
        """Start all nodes, side by side: one of several answers only once most of them do."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(Node.start, self.nodes))

    def kill(self) -> None:
        """kill -9 of all nodes."""
        for node in self.nodes:
            node.kill()

    def pause(self, seconds: float) -> None:
        """SIGSTOP of all nodes, and on after ``seconds``: sockets stay open, nothing answers."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(lambda node: node.pause(seconds), self.nodes))

    # ---- leaders ----
    def leader(self, topic: str, partition: int) -> Node | None:
        """The node that leads a partition now; None while nobody does, or can be asked."""
        try:
            leads = self.admin().list_topics(topic, timeout=ANSWER_S).topics[topic].partitions[partition].leader
        except KafkaException:
            return None
        return next((node for node in self.nodes if node.number == leads), None)

    def coordinator(self, group: str) -> Node | None:
        """The node that coordinates a consumer group now: it leads the group's partition of the offsets."""
        try:
            partitions = self.admin().list_topics(OFFSETS, timeout=ANSWER_S).topics[OFFSETS].partitions
        except KafkaException:
            return None
        return self.leader(OFFSETS, partition_of(group, len(partitions))) if partitions else None

    def whole(self) -> bool:
        """Whether every copy of every partition of every topic is in sync."""
        try:
            topics = self.admin().list_topics(timeout=ANSWER_S).topics.values()
        except KafkaException:
            return False
        return all(len(p.isrs) == len(self.nodes) for topic in topics for p in topic.partitions.values())

    def move_leaders(self) -> None:
        """Every partition back to the leader it was made with; in a process of its own, since librdkafka's assertions
        about admin requests (rd_kafka_enq_once) do not hold while leaders change, and end a process.
        """
        said = b""
        for _ in range(TRIES):
            done = subprocess.run([sys.executable, "-c", ELECT, self.address], capture_output=True, check=False)
            if done.returncode == 0:
                return
            said = done.stderr
        raise RuntimeError(f"leaders do not move: {said.decode(errors='replace')[-500:]}")

    # ---- what only an administrator does ----
    def alter(self, config: Mapping[str, str]) -> None:
        """Set dynamic configuration of the broker."""
        entries = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in config.items()]
        resource = ConfigResource(ResourceType.BROKER, "1", incremental_configs=entries)
        for future in self.admin().incremental_alter_configs([resource]).values():
            future.result(20)

    def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        """What retention does: forget what lies before ``offsets`` (partition -> offset; -1: everything)."""
        wanted = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        for future in self.admin().delete_records(wanted).values():
            future.result(20)

    def admin(self) -> AdminClient:
        if self._admin is None:
            self._admin = self._new_admin()
        return self._admin

    def _new_admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address, "log_level": 2})

    def close(self) -> None:
        for node in self.nodes:
            node.close()


def partition_of(group: str, partitions: int) -> int:
    """Where a broker keeps the offsets of a group: Java's hash of its name, made positive, by the partitions."""
    code = 0
    for character in group.encode("ascii"):
        code = (31 * code + character) & 0xFFFF_FFFF
    code = code - (1 << 32) if code >> 31 else code
    return (0 if code == -(1 << 31) else abs(code)) % partitions


def why_no_kafka() -> str:
    """Why a real broker cannot be started here; empty: it can."""
    found = subprocess.run([sys.executable, SCRIPT, "available"], capture_output=True, text=True, check=False)
    return (found.stderr or found.stdout).strip() if found.returncode else ""


@contextmanager
def own_broker(nodes: int = 1) -> Iterator[OwnBroker]:
    """A started broker of so many nodes, ended with the block."""
    broker = OwnBroker(nodes)
    try:
        broker.start()
        yield broker
    finally:
        broker.close()
