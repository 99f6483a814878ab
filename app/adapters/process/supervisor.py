"""Run a few child processes: restart one that exits, with back-off; end them all together.

A child gets a pipe as stdin (its end means the supervisor is gone) and says where it listens with one JSON line on
stdout: ``{"port": 8081}``. What else it prints there goes to stderr.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec

from app.adapters.process.folder import EXIT_FOLDER

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A child that ran this long starts its back-off anew."""
GRACE_S = 30.0
ARENAS = {"MALLOC_ARENA_MAX": "2"}
"""glibc otherwise keeps freed memory for each thread: measured after three minutes of overload, ingest held 145 MB with
its default and 113 MB with two arenas. What the environment says goes first.
"""
FINAL = frozenset({EXIT_FOLDER})
"""Exit codes after which starting a child again cannot help: all are ended, and the supervisor exits with the same."""


class Hello(msgspec.Struct, frozen=True):
    """What a child says first."""

    port: int


class Child:
    """One child process across its restarts. Mutable; ``port`` 0: not known (yet)."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.command = tuple(command)
        self.port = 0
        self.restarts = 0
        self.last_exit: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def run(self) -> None:
        """Start it, and start it again whenever it exits, until ``stop``."""
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._once()
            self.last_exit, self.port = code, 0
            if self._stopping.is_set() or code in FINAL:
                return
            pause_s = FIRST_PAUSE_S if time.monotonic() - began > STEADY_S else pause_s
            self.restarts += 1
            log.warning("agent %s exited with %d; starting it again in %.1f s", self.name, code, pause_s)
            try:
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            except TimeoutError:
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def _once(self) -> int:
        process = self._process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**ARENAS, **os.environ},
        )
        log.info("agent %s started, pid %d", self.name, process.pid)
        if process.stdout is not None:
            async for line in process.stdout:
                self._hear(line)
        return await process.wait()

    def _hear(self, line: bytes) -> None:
        try:
            self.port = msgspec.json.decode(line, type=Hello).port
        except msgspec.MsgspecError:
            sys.stderr.write(line.decode(errors="replace"))

    def stop(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it now (SIGKILL): safe by design, only the re-read is longer."""
        if self._process is not None and self._process.returncode is None:
            log.warning("agent %s did not end in time: killed", self.name)
            self._process.kill()


class Supervisor:
    """Children by name, run until ``stop`` is set."""

    def __init__(self, commands: Mapping[str, Sequence[str]]) -> None:
        self.children = {name: Child(name, command) for name, command in commands.items()}

    async def run(self, stop: asyncio.Event, grace_s: float = GRACE_S) -> int:
        """Keep all children running; once ``stop`` is set end them, after ``grace_s`` by force. The exit code: 0, or
        that of a child which can never run.
        """
        running = [asyncio.ensure_future(child.run()) for child in self.children.values()]
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for child in self.children.values():
            child.stop()
        _, late = await asyncio.wait(running, timeout=grace_s)
        if late:
            for child in self.children.values():
                child.kill()
            await asyncio.wait(late)
        return next((code for child in self.children.values() if (code := child.last_exit) in FINAL and code), 0)
