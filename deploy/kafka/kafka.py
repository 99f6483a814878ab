#!/usr/bin/env python3
"""An Apache Kafka for development and tests: start, stop, status. Needs Java 17 and Maven, no Docker.

    deploy/kafka/kafka.py start      get the jars (once), format the data folder (once), start, wait until it answers
    deploy/kafka/kafka.py stop       ask it to end, by its pid file only
    deploy/kafka/kafka.py status     exit 0 when it answers, 1 when not
    deploy/kafka/kafka.py available  exit 0 when this machine can run it, else print why not and exit 1

Settings (environment):
    KAFKA_PORT       port on 127.0.0.1, default 9092; every port is an instance of its own
    KAFKA_HOME_DIR   the instance's folder (data, log, pid file), default .kafka/<port>; delete it to start empty
    KAFKA_LIB_DIR    the jars, shared by all instances, default .kafka/lib
    KAFKA_JVM        options of the JVM, default -Xmx768m
    KAFKA_VOTERS     the controllers of a cluster of several nodes, NUMBER@HOST:PORT,...; default a cluster of one
    KAFKA_NODE       which of them this is, default 1
    KAFKA_SECURE_PORT  a second port, for TLS with SASL (PLAIN and SCRAM-SHA-512); default none
    KAFKA_SECURE_DIR   its folder: server.pem (PKCS#8 key, then certificate chain) and ca.pem for client certificates
    KAFKA_SECURE_USER  NAME:PASSWORD of its only user, letters, digits, - and _
A start after `kill -9` keeps the data. Only the standard library is used, so it runs before anything is installed.
"""

import argparse
import asyncio
import base64
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
POM = HERE / "pom.xml"
READY_WITHIN_S = 60.0
STOP_WITHIN_S = 30.0
POLL_S = 0.1


class BrokerError(RuntimeError):
    """Why the broker is not as asked, and where to look."""


@dataclass(frozen=True)
class Secure:
    """The second listener: TLS and SASL."""

    port: int
    folder: Path
    user: str
    password: str


@dataclass(frozen=True)
class Instance:
    """One broker: its port and folders."""

    port: int
    home: Path
    lib: Path
    jvm: tuple[str, ...]
    secure: "Secure | None" = None
    node: int = 1
    voters: tuple[str, ...] = ()
    """Controllers of the whole cluster, ``number@host:port``; none: a cluster of one."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def properties(self) -> Path:
        return self.home / "server.properties"

    @property
    def log(self) -> Path:
        return self.home / "kafka.log"

    @property
    def pid_file(self) -> Path:
        return self.home / "kafka.pid"

    @property
    def data(self) -> Path:
        return self.home / "data"


def instance(env: dict[str, str]) -> Instance:
    """The instance the environment names."""
    port = env.get("KAFKA_PORT", "9092")
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise BrokerError(f"KAFKA_PORT is {port!r}; must be a port number from 1 to 65535")
    home = Path(env.get("KAFKA_HOME_DIR") or ROOT / ".kafka" / port).resolve()
    lib = Path(env.get("KAFKA_LIB_DIR") or ROOT / ".kafka" / "lib").resolve()
    node, voters = _place(env)
    return Instance(int(port), home, lib, tuple(env.get("KAFKA_JVM", "-Xmx768m").split()), _secure(env), node, voters)


def _place(env: dict[str, str]) -> tuple[int, tuple[str, ...]]:
    """The number of this node, and all voters of its cluster."""
    node, voters = env.get("KAFKA_NODE", "1"), tuple(filter(None, env.get("KAFKA_VOTERS", "").split(",")))
    if wrong := [voter for voter in voters if not re.fullmatch(r"\d+@[\w.-]+:\d+", voter)]:
        raise BrokerError(f"KAFKA_VOTERS has {wrong[0]!r}; must be NUMBER@HOST:PORT,...")
    if not node.isdecimal() or (voters and not any(voter.startswith(f"{node}@") for voter in voters)):
        raise BrokerError(f"KAFKA_NODE is {node!r}; must be the number of one of KAFKA_VOTERS")
    return int(node), voters


def _secure(env: dict[str, str]) -> Secure | None:
    port = env.get("KAFKA_SECURE_PORT", "")
    if not port:
        return None
    user, _, password = env.get("KAFKA_SECURE_USER", "").partition(":")
    if not re.fullmatch(r"[\w-]+", user) or not re.fullmatch(r"[\w-]+", password):
        raise BrokerError("KAFKA_SECURE_USER must be NAME:PASSWORD of letters, digits, - and _")
    folder = Path(env.get("KAFKA_SECURE_DIR", "")).resolve()
    if missing := [name for name in ("server.pem", "ca.pem") if not (folder / name).is_file()]:
        raise BrokerError(f"KAFKA_SECURE_DIR {folder} lacks {' and '.join(missing)}")
    return Secure(int(port), folder, user, password)


def missing_tools() -> list[str]:
    """What this machine lacks to run a broker."""
    return [name for name in ("java", "mvn") if shutil.which(name) is None]


async def start(broker: Instance) -> str:
    """Start the broker unless it runs, and wait until it answers."""
    if running_pid(broker) is not None:
        await _ready(broker)
        return f"Kafka already runs at {broker.address} (pid {running_pid(broker)})"
    if missing := missing_tools():
        raise BrokerError(
            f"{' and '.join(missing)} not found: install a Java 17 runtime and Maven, or use your own Kafka"
        )
    if _port_taken(broker.port):
        raise BrokerError(f"something else listens on {broker.address}: stop it, or choose another KAFKA_PORT")
    _fetch_jars(broker.lib)
    broker.home.mkdir(parents=True, exist_ok=True)
    broker.properties.write_text(_properties(broker), encoding="utf-8")
    _format(broker)
    pid = _spawn(broker).pid
    broker.pid_file.write_text(str(pid), encoding="utf-8")
    await _ready(broker)
    return f"Kafka runs at {broker.address} (pid {pid}, log {broker.log})"


async def stop(broker: Instance) -> str:
    """End the broker its pid file names: SIGTERM, then SIGKILL after a bounded wait."""
    pid = running_pid(broker)
    if pid is None:
        broker.pid_file.unlink(missing_ok=True)
        return f"no Kafka of this folder runs at {broker.address}"
    os.kill(pid, signal.SIGTERM)
    if not await _until(lambda: running_pid(broker) is None, STOP_WITHIN_S):
        os.kill(pid, signal.SIGKILL)
        await _until(lambda: running_pid(broker) is None, STOP_WITHIN_S)
    broker.pid_file.unlink(missing_ok=True)
    return f"Kafka at {broker.address} has stopped"


async def status(broker: Instance) -> str:
    """A line about a broker that answers; BrokerError when it does not."""
    pid = running_pid(broker)
    if pid is None:
        raise BrokerError(f"no Kafka of this folder runs at {broker.address}; start it with `make kafka`")
    if not await _answers(broker.port):
        raise BrokerError(f"Kafka (pid {pid}) does not answer at {broker.address}; see {broker.log}")
    return f"Kafka runs at {broker.address} (pid {pid}, log {broker.log})"


def running_pid(broker: Instance) -> int | None:
    """The pid of this instance's broker, or None. A pid that meanwhile belongs to another program does not count."""
    try:
        pid = int(broker.pid_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    command = _command_line(pid)
    return pid if command is not None and (not command or str(broker.properties) in command) else None


def _command_line(pid: int) -> str | None:
    """The command a process runs; None when it has ended; empty for the instant in which it is being started."""
    try:
        ended = re.search(r"^State:\s+[ZX]", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), re.MULTILINE)
        return (
            None if ended else Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        if Path("/proc/self").exists():
            return None
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout or None


def _port_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_jars(lib: Path) -> None:
    """The jars the pom names, through Maven, kept until the pom changes."""
    stamp, wanted = lib / ".pom-sha256", hashlib.sha256(POM.read_bytes()).hexdigest()
    with _only_one(lib.parent / "lib.lock"):
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return
        part = lib.with_name(lib.name + ".part")
        for folder in (part, lib):
            shutil.rmtree(folder, ignore_errors=True)
        _say(f"getting the jars of Apache Kafka with Maven into {lib} (43 MB, once)")
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        made = subprocess.run([*command, f"-DoutputDirectory={part}"], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise BrokerError(f"Maven could not get the jars:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")
        (part / stamp.name).write_text(wanted, encoding="utf-8")
        part.rename(lib)


def _properties(broker: Instance) -> str:
    voters = broker.voters or (f"{broker.node}@127.0.0.1:{_free_port()}",)
    controller = next(voter for voter in voters if voter.startswith(f"{broker.node}@")).partition("@")[2]
    copies = min(3, len(voters))
    in_sync = max(1, copies - 1)
    settings = {
        "process.roles": "broker,controller",
        "node.id": broker.node,
        "listeners": f"PLAINTEXT://{broker.address},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker.address}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(voters),
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": broker.data,
        "broker.session.timeout.ms": 2000,  # after kill -9 the controller waits this long before it admits the new one
        "broker.heartbeat.interval.ms": 500,
        "auto.create.topics.enable": "false",
        "num.partitions": 4,
        "offsets.topic.num.partitions": 8,
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": 2,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "log.retention.check.interval.ms": 10_000,
    }
    if broker.secure is not None:
        listener = f"SECURE://127.0.0.1:{broker.secure.port}"
        settings["listeners"] = f"{settings['listeners']},{listener}"
        settings["advertised.listeners"] = f"{settings['advertised.listeners']},{listener}"
        settings["listener.security.protocol.map"] = f"{settings['listener.security.protocol.map']},SECURE:SASL_SSL"
        settings |= {f"listener.name.secure.{key}": value for key, value in _secured(broker.secure).items()}
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _secured(secure: Secure) -> dict[str, object]:
    modules = "org.apache.kafka.common.security"
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": secure.folder / "server.pem",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": secure.folder / "ca.pem",
        "ssl.client.auth": "requested",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        "plain.sasl.jaas.config": f'{modules}.plain.PlainLoginModule required user_{secure.user}="{secure.password}";',
        "scram-sha-512.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
    }


def _format(broker: Instance) -> None:
    if (broker.data / "meta.properties").exists():
        return
    command = [
        *_java(broker),
        "kafka.tools.StorageTool",
        "format",
        "-t",
        _cluster_id(broker),
        "-c",
        str(broker.properties),
    ]
    if broker.secure is not None:
        command += ["--add-scram", f"SCRAM-SHA-512=[name={broker.secure.user},password={broker.secure.password}]"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise BrokerError(f"could not format {broker.data}:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")


def _cluster_id(broker: Instance) -> str:
    """22 characters of base64 over 16 bytes, never beginning like an option; the same on all nodes."""
    digest = hashlib.sha256((",".join(broker.voters) or str(broker.home)).encode()).digest()[:16]
    return "K" + base64.urlsafe_b64encode(digest).decode()[1:22]


def _java(broker: Instance) -> list[str]:
    return ["java", *broker.jvm, "-cp", f"{broker.lib}/*"]


def _spawn(broker: Instance) -> subprocess.Popen[bytes]:
    """The broker in a session of its own, so that Ctrl-C in the terminal that started it does not end it."""
    if broker.log.exists():
        broker.log.replace(broker.log.with_suffix(".log.1"))
    log_format = ("-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")
    command = [*_java(broker), *log_format, "kafka.Kafka", str(broker.properties)]
    with broker.log.open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=broker.home,
        )


async def _ready(broker: Instance) -> None:
    async def settled() -> bool:
        return running_pid(broker) is None or await _answers(broker.port)

    deadline = asyncio.get_running_loop().time() + READY_WITHIN_S
    while not await settled():
        if asyncio.get_running_loop().time() > deadline:
            raise BrokerError(f"Kafka does not answer at {broker.address} after {READY_WITHIN_S:g} s; see {broker.log}")
        await asyncio.sleep(POLL_S)
    if running_pid(broker) is None:
        tail = broker.log.read_text(errors="replace")[-1500:] if broker.log.exists() else ""
        raise BrokerError(f"Kafka ended while starting; see {broker.log}:\n{tail}")


async def _answers(port: int) -> bool:
    """Whether a Metadata request (version 1, no topics) is answered with at least one live broker."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 2)
    except (OSError, TimeoutError):
        return False
    try:
        request = struct.pack(">hhih", 3, 1, 7, -1) + struct.pack(">i", 0)
        writer.write(struct.pack(">i", len(request)) + request)
        _, correlation, brokers = struct.unpack(">iii", await asyncio.wait_for(reader.readexactly(12), 5))
        return bool(correlation == 7 and brokers >= 1)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
    finally:
        writer.close()


async def _until(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main(arguments: list[str] | None = None) -> int:
    """The command line: prints one line and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["start", "stop", "status", "available"])
    action = parser.parse_args(arguments).action
    try:
        if action == "available":
            if missing := missing_tools():
                raise BrokerError(f"{' and '.join(missing)} not found")
            line = "java and mvn are here"
        else:
            line = asyncio.run({"start": start, "stop": stop, "status": status}[action](instance(dict(os.environ))))
    except BrokerError as error:
        _say(str(error))
        return 1
    sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
