"""Runs that are kept, so that the evidence of several commands adds up: one line of JSON each, of one code only."""

import fcntl
import hashlib
import os
import platform
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec
import psutil

from tests.chaos.result import Result, again
from tests.chaos.verdict import Verdict
from tests.e2e.harness.broker import ROOT

FILE = ROOT / "docs" / "evidence" / "chaos.jsonl"
CODE = ("app", "agents", "tables", "tests/chaos")
"""What may change a verdict: a run of other code is no evidence for this one."""
KINDS = (".py", ".c", ".h")
WORD = 12
"""Characters that are kept of a hash."""


class Origin(msgspec.Struct, frozen=True):
    """Where a run comes from. ``code``: hash of ``CODE`` as it lay there; ``commit``: empty outside of git."""

    command: str
    code: str
    commit: str
    date: str
    machine: str


class Run(msgspec.Struct, frozen=True):
    """One scenario with one seed, as it is kept; ``failed``: the last line of why there is no verdict."""

    name: str
    seed: int
    long: bool
    took_s: float
    verdict: Verdict | None
    failed: str
    said: list[str]
    notes: dict[str, str]
    origin: Origin

    @property
    def exact(self) -> bool:
        return self.verdict is not None and self.verdict.exact

    @property
    def again(self) -> str:
        """The command that does the same again."""
        return again(self.name, self.seed, long=self.long)


def run_of(result: Result, origin: Origin) -> Run:
    """``result`` as it is kept, under the load of this moment."""
    failed = result.failed.strip().rpartition("\n")[2]
    here = msgspec.structs.replace(origin, date=_now(), machine=_machine())
    return Run(
        result.name,
        result.seed,
        result.long,
        round(result.took_s, 1),
        result.verdict,
        failed,
        result.said,
        result.notes,
        here,
    )


def origin(command: str) -> Origin:
    """Of runs that ``command`` is about to make here."""
    return Origin(command, code(), _commit(), _now(), _machine())


def keep(run: Run, file: Path = FILE) -> list[Run]:
    """Add ``run``, forget those of other code; all that are kept now. Several processes may do this at once."""
    with _locked(file) as lines:
        runs = [*_of(_decoded(lines.read()), run.origin.code), run]
        lines.seek(0)
        lines.truncate()
        lines.write(b"".join(msgspec.json.encode(each) + b"\n" for each in runs))
    return runs


def kept(code: str, file: Path = FILE) -> list[Run]:
    """The runs of ``code``, oldest first."""
    return _of(_decoded(file.read_bytes()), code) if file.exists() else []


def _of(runs: Sequence[Run], code: str) -> list[Run]:
    return [run for run in runs if run.origin.code == code]


def _decoded(lines: bytes) -> list[Run]:
    return [msgspec.json.decode(line, type=Run) for line in lines.splitlines()]


@contextmanager
def _locked(file: Path) -> Iterator[IO[bytes]]:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    with file.open("r+b") as lines:
        fcntl.flock(lines, fcntl.LOCK_EX)
        yield lines


def code(root: Path = ROOT, folders: Sequence[str] = CODE) -> str:
    """A word that changes with any file of ``folders`` that may change a verdict."""
    files = (path for folder in folders for path in (root / folder).rglob("*") if path.suffix in KINDS)
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:WORD]


def _commit() -> str:
    commit = _git("rev-parse", "--short=9", "HEAD")
    return f"{commit} with changes" if commit and _git("status", "--porcelain", "--", *CODE) else commit


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _machine() -> str:
    memory_gb = psutil.virtual_memory().total / (1 << 30)
    return (
        f"{os.cpu_count()} cores, {memory_gb:.0f} GB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {_loops()}, load average {os.getloadavg()[1]:.1f}"
    )


def _loops() -> str:
    """Whether the loops that are written in C, too, are compiled here (``make native``)."""
    sources = list((ROOT / "app").glob("**/native/*.c"))
    compiled = [path for path in sources if path.with_suffix(str(sysconfig.get_config_var("EXT_SUFFIX"))).exists()]
    return f"{len(compiled)} of {len(sources)} hot loops in C"
