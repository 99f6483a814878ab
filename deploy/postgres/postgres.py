#!/usr/bin/env python3
"""A PostgreSQL of its own for development and tests: start, stop, status. Needs initdb and pg_ctl, no Docker.

    deploy/postgres/postgres.py start      make the data folder (once), start on loopback, print the address
    deploy/postgres/postgres.py stop       end it, by its own pid file only
    deploy/postgres/postgres.py status     exit 0 when it answers, 1 when not
    deploy/postgres/postgres.py available  exit 0 when this machine can run it, else print why not and exit 1

Settings (environment):
    POSTGRES_PORT      port on 127.0.0.1, default 5433; every port is an instance of its own
    POSTGRES_HOME_DIR  the instance's folder, default .postgres/<port>; delete it to start empty
It trusts everybody on loopback and does not sync to disk: for tests, never for data anybody needs. The server refuses
to run as root; then it runs as the user `postgres` (POSTGRES_USER_NAME).
"""

import argparse
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql*/bin")
WITHIN_S = 30


class ServerError(RuntimeError):
    """Why the server is not as asked."""


def tool(name: str) -> str:
    """The path of a program of PostgreSQL, beside the others of its version."""
    beside = sorted(str(path) for place in PLACES for path in Path("/").glob(f"{place}/{name}"))
    found = beside[-1] if beside else shutil.which(name)
    if found is None:
        raise ServerError(f"{name} not found: install PostgreSQL 14 or newer (Debian: apt-get install postgresql)")
    return found


def account() -> str:
    """The user who may run the server; empty: the one we are."""
    if os.geteuid() != 0:
        return ""
    name = os.environ.get("POSTGRES_USER_NAME", "postgres")
    try:
        pwd.getpwnam(name)
    except KeyError:
        raise ServerError(f"PostgreSQL does not run as root, and there is no user {name!r}") from None
    if shutil.which("setpriv") is None:
        raise ServerError("PostgreSQL does not run as root, and setpriv (util-linux) is missing")
    return name


def user() -> list[str]:
    """What puts a command under that user."""
    name = account()
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--clear-groups"] if name else []


def available() -> str:
    """A line when it can run here; ServerError when not."""
    user()
    return f"{tool('initdb')} and {tool('pg_ctl')} are here"


def start(home: Path, port: int) -> str:
    """Start unless it runs; returns its address."""
    data = home / "data"
    if not (data / "PG_VERSION").exists():
        home.mkdir(parents=True, exist_ok=True)
        if name := account():
            shutil.chown(home, name)
        _run(tool("initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    if not _runs(data):
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"
        log = str(home / "postgres.log")
        _run(tool("pg_ctl"), "-D", str(data), "-w", "-t", str(WITHIN_S), "-l", log, "-o", options, "start")
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


def stop(home: Path, _port: int) -> str:
    """End it; pg_ctl knows the process by the pid file in the data folder."""
    data = home / "data"
    if not _runs(data):
        return f"no PostgreSQL runs in {home}"
    _run(tool("pg_ctl"), "-D", str(data), "-m", "fast", "-w", "-t", str(WITHIN_S), "stop")
    return f"PostgreSQL in {home} has stopped"


def status(home: Path, port: int) -> str:
    """A line when it runs; ServerError when not."""
    if not _runs(home / "data"):
        raise ServerError(f"no PostgreSQL runs in {home}; start it with `make postgres`")
    return f"PostgreSQL runs on 127.0.0.1:{port}"


def _runs(data: Path) -> bool:
    command = [*user(), tool("pg_ctl"), "-D", str(data), "status"]
    return subprocess.run(command, capture_output=True, check=False, cwd="/").returncode == 0


def _run(*command: str) -> None:
    made = subprocess.run(
        [*user(), *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd="/"
    )
    if made.returncode:
        raise ServerError(f"{Path(command[0]).name} failed:\n{made.stdout[-1500:]}")


def main(arguments: list[str] | None = None) -> int:
    """The command line: prints one line and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["start", "stop", "status", "available"])
    action = parser.parse_args(arguments).action
    port = os.environ.get("POSTGRES_PORT", "5433")
    home = Path(os.environ.get("POSTGRES_HOME_DIR") or ROOT / ".postgres" / port).resolve()
    try:
        if not port.isdecimal() or not 0 < int(port) < 65_536:
            raise ServerError(f"POSTGRES_PORT is {port!r}; must be a port number from 1 to 65535")
        do = {"start": start, "stop": stop, "status": status}
        line = available() if action == "available" else do[action](home, int(port))
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
