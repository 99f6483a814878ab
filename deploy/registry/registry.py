#!/usr/bin/env python3
"""A schema registry (Apicurio, in memory) for development and tests: start, stop, status. Needs Java 17 and Maven.

    deploy/registry/registry.py start      get it (104 MB, once), start, wait until it answers; prints its address
    deploy/registry/registry.py stop       ask it to end, by its pid file only
    deploy/registry/registry.py status     exit 0 when it answers, 1 when not
    deploy/registry/registry.py available  exit 0 when this machine can run it, else print why not and exit 1

Settings (environment):
    REGISTRY_PORT       port on 127.0.0.1, default 18081
    REGISTRY_HOME_DIR   folder of the instance (log, pid file), default .registry/<port>
    REGISTRY_APP_DIR    the unpacked program, shared by all instances, default .registry/app
What was registered is gone when it stops. Only the standard library is used.
"""

import argparse
import asyncio
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
VERSION = "3.0.9"
"""The last line that runs on Java 17."""
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
JAR = f"apicurio-registry-app-{VERSION}-runner.jar"
READY_WITHIN_S = 90.0
STOP_WITHIN_S = 20.0
POLL_S = 0.1


class UnusableError(RuntimeError):
    """Why the registry is not as asked, and where to look."""


class Instance(NamedTuple):
    """One registry: its port and folders."""

    port: int
    home: Path
    app: Path

    @property
    def url(self) -> str:
        """The address of Confluent's interface."""
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.home / "registry.log"

    @property
    def pid_file(self) -> Path:
        """Names its process."""
        return self.home / "registry.pid"


def instance(env: dict[str, str]) -> Instance:
    """The instance the environment names."""
    port = env.get("REGISTRY_PORT", "18081")
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise UnusableError(f"REGISTRY_PORT is {port!r}; must be a port number from 1 to 65535")
    home = Path(env.get("REGISTRY_HOME_DIR") or ROOT / ".registry" / port).resolve()
    app = Path(env.get("REGISTRY_APP_DIR") or ROOT / ".registry" / "app").resolve()
    return Instance(int(port), home, app)


def available() -> str:
    """A line about what is here; UnusableError says what is not."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing:
        raise UnusableError(f"{' and '.join(missing)} not found: install a Java 17 runtime and Maven")
    return "java and mvn are here"


async def start(registry: Instance) -> str:
    """Start it unless it runs, and wait until it answers."""
    if running_pid(registry) is None:
        available()
        if _port_taken(registry.port):
            raise UnusableError(f"something else listens on 127.0.0.1:{registry.port}: choose another REGISTRY_PORT")
        _fetch(registry.app)
        registry.home.mkdir(parents=True, exist_ok=True)
        registry.pid_file.write_text(str(_spawn(registry)), encoding="utf-8")
    if not await _until(lambda: running_pid(registry) is None or _answers(registry), READY_WITHIN_S):
        raise UnusableError(f"the registry does not answer at {registry.url}; see {registry.log}")
    if running_pid(registry) is None:
        raise UnusableError(f"the registry ended while starting; see {registry.log}")
    return f"the registry runs at {registry.url} (pid {running_pid(registry)}, log {registry.log})"


async def stop(registry: Instance) -> str:
    """End the process its pid file names: SIGTERM, then SIGKILL after a bounded wait."""
    pid = running_pid(registry)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        if not await _until(lambda: running_pid(registry) is None, STOP_WITHIN_S):
            os.kill(pid, signal.SIGKILL)
            await _until(lambda: running_pid(registry) is None, STOP_WITHIN_S)
    registry.pid_file.unlink(missing_ok=True)
    return f"no registry of this folder runs at {registry.url}"


async def status(registry: Instance) -> str:
    """A line about a registry that answers; UnusableError when it does not."""
    if running_pid(registry) is None or not _answers(registry):
        raise UnusableError(f"no registry of this folder answers at {registry.url}; start it with `make registry`")
    return f"the registry runs at {registry.url} (pid {running_pid(registry)}, log {registry.log})"


def running_pid(registry: Instance) -> int | None:
    """The pid of this instance, or None. A pid that meanwhile belongs to another program does not count."""
    try:
        pid = int(registry.pid_file.read_text(encoding="utf-8"))
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if state not in "ZX" and (not command or JAR.encode() in command) else None


def _port_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _fetch(app: Path) -> None:
    """The program from Maven, unpacked once."""
    app.parent.mkdir(parents=True, exist_ok=True)
    with (app.parent / "app.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (app / JAR).exists():
            return
        sys.stderr.write(f"getting Apicurio Registry {VERSION} with Maven into {app} (104 MB, once)\n")
        part = app.with_name(app.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={part}"]
        made = subprocess.run(command, capture_output=True, text=True, check=False, cwd=app.parent)
        if made.returncode != 0:
            raise UnusableError(f"Maven could not get {ARTIFACT}:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")
        (archive,) = part.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(part, filter="data")
        archive.unlink()
        (found,) = part.rglob(JAR)
        shutil.rmtree(app, ignore_errors=True)
        found.parent.rename(app)
        shutil.rmtree(part, ignore_errors=True)


def _spawn(registry: Instance) -> int:
    """The registry in a session of its own, so that Ctrl-C in the terminal that started it does not end it."""
    listen = {"QUARKUS_HTTP_HOST": "127.0.0.1", "QUARKUS_HTTP_PORT": str(registry.port)}
    with registry.log.open("wb") as log:
        return subprocess.Popen(
            ["java", "-Xmx384m", "-jar", str(registry.app / JAR)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=registry.app,
            env={**os.environ, **listen},
        ).pid


def _answers(registry: Instance) -> bool:
    try:
        with urllib.request.urlopen(f"{registry.url}/subjects", timeout=2) as answer:  # noqa: S310 - loopback, http
            return bool(answer.status == 200)
    except OSError:
        return False


async def _until(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True


def main(arguments: list[str] | None = None) -> int:
    """The command line: prints one line and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["start", "stop", "status", "available"])
    action = parser.parse_args(arguments).action
    try:
        found = instance(dict(os.environ))
        actions = {"start": start, "stop": stop, "status": status}
        line = available() if action == "available" else asyncio.run(actions[action](found))
    except UnusableError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
