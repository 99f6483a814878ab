"""What a worker used, from ``/proc``: every process of its session counts, threads and ended children included."""

import os
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def session_cpu_s(session: int) -> float:
    """User and system seconds of all processes of the session, their reaped children included."""
    return sum(sum(map(int, fields[11:15])) for _, fields in _members(session)) / _TICKS


def session_cpu_by(session: int) -> dict[str, float]:
    """User and system seconds by process of the session, named by the last word of its command."""
    found: dict[str, float] = {}
    for pid, fields in _members(session):
        command = _text(_PROC / str(pid) / "cmdline").replace("\0", " ").split()
        name = command[-1].rpartition(".")[2] if command else "ended"
        found[name] = found.get(name, 0.0) + sum(map(int, fields[11:13])) / _TICKS
    return found


def session_rss_mb(session: int, *, peak: bool = True) -> dict[str, float]:
    """Resident memory by process (``pid name``), MiB; ``peak``: the largest so far, else now."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    found: dict[str, float] = {}
    for pid, _ in _members(session):
        lines = _text(_PROC / str(pid) / "status").splitlines()
        command = _text(_PROC / str(pid) / "cmdline").replace("\0", " ").split()
        sizes = [int(line.split()[1]) / 1024 for line in lines if line.startswith(wanted)]
        if sizes:
            found[f"{pid} {' '.join(command[-4:])}"] = sizes[0]
    return found


def busiest_thread_s(session: int) -> tuple[float, float]:
    """(seconds on a core, seconds runnable but waiting for one) of the session's busiest thread."""
    threads = [path for pid, _ in _members(session) for path in (_PROC / str(pid) / "task").glob("*/schedstat")]
    figures = [_text(path).split() for path in threads]
    return max(((int(f[0]) / 1e9, int(f[1]) / 1e9) for f in figures if len(f) == 3), default=(0.0, 0.0))


def machine_busy_s() -> float:
    """Seconds of CPU this machine has spent on anything since it was started."""
    fields = [int(text) for text in _text(_PROC / "stat").split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS


def _members(session: int) -> Iterator[tuple[int, list[str]]]:
    for pid in (int(path.name) for path in _PROC.iterdir() if path.name.isdigit()):
        fields = _stat(pid)
        if fields and int(fields[3]) == session:
            yield pid, fields


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/<pid>/stat`` after the name: state, ppid, pgrp, session..."""
    return _text(_PROC / str(pid) / "stat").rpartition(")")[2].split()


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it ended meanwhile
        return ""


def resident_mb() -> float:
    """Resident memory of this process, MiB."""
    lines = _text(_PROC / "self" / "status").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
