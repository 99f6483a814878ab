"""Who takes part, how each is started, and why one cannot be."""

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
BENCH = ROOT / ".bench"
OWN_PEERS = ROOT / "benchmarks" / "peers"
INSTALL_S = 600.0


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """``command`` may name ``{python}``, ``{peers}`` and ``{state}``; ``needs``: its requirements file, "" for ours.

    ``share`` of the events it gets: a slow engine a shorter log with as many keys and events per pane.
    """

    name: str
    label: str
    command: tuple[str, ...]
    needs: str = ""
    before: tuple[str, ...] = ()
    env: dict[str, str] = {}
    share: float = 1.0
    durable: str


OURS = Engine(
    name="ours",
    label="this optimizer (both stages)",
    command=(sys.executable, "-m", "benchmarks.peers_adapter"),
    durable="exact over kill -9, duplicates removed",
)
PEERS = (
    Engine(
        name="raw",
        label="raw: confluent + msgspec",
        command=("{python}", "{peers}/raw_ceiling.py"),
        needs="raw",
        durable="nothing",
    ),
    Engine(
        name="kstreams",
        label="Kafka Streams",
        command=("java", "-Xmx1g", "-cp", "{bench}/kstreams/classes:{bench}/kstreams/lib/*", "Bench"),
        needs="kstreams",
        durable="at least once",
    ),
    Engine(
        name="bytewax",
        label="Bytewax",
        command=("{python}", "-m", "bytewax.run", "bytewax_flow:flow", "-r", "{state}", "-s", "10", "-b", "0"),
        needs="bytewax",
        before=("{python}", "-m", "bytewax.recovery", "{state}", "1"),
        share=0.5,
        durable="at least once, snapshots each 10 s",
    ),
    Engine(
        name="quix",
        label="Quix Streams",
        command=("{python}", "{peers}/quix.py"),
        needs="quix",
        env={"QUIX_AGG": "sketch"},
        share=0.1,
        durable="at least once",
    ),
    Engine(
        name="faust",
        label="Faust, tuned",
        command=("{python}", "{peers}/faust_naive.py", "--loop", "uvloop", "worker", "-l", "info", "--without-web"),
        needs="faust",
        env={"FAUST_TUNED": "1"},
        share=0.05,
        durable="at least once, doubles after kill -9",
    ),
)


class NotInstallableError(RuntimeError):
    """Why an engine does not take part."""


def prepare(engine: Engine, folder: Path) -> None:
    """Install what ``engine`` needs below ``.bench``, once. Raises ``NotInstallableError``."""
    if engine.needs == "kstreams":
        _kstreams(folder)
    elif engine.needs:
        _environment(engine.needs, folder / f"requirements-{engine.needs}.txt")


def filled_in(words: tuple[str, ...], engine: Engine, folder: Path, state: Path) -> list[str]:
    """The command line of ``words`` with its places filled in."""
    places = {
        "{python}": str(_python(engine.needs)),
        "{peers}": str(scripts(folder)),
        "{bench}": str(BENCH),
        "{state}": str(state),
    }
    return [_replaced(word, places) for word in words]


def scripts(folder: Path) -> Path:
    """Where the Python files of a folder of peers are."""
    return folder / "peers" if (folder / "peers").is_dir() else folder


def _replaced(word: str, places: dict[str, str]) -> str:
    for place, text in places.items():
        word = word.replace(place, text)
    return word


def _python(needs: str) -> Path:
    return BENCH / f"venv-{needs}" / "bin" / "python"


def _environment(name: str, requirements: Path) -> None:
    wanted = requirements.read_text()
    stamp = BENCH / f"venv-{name}" / ".requirements"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    _do([sys.executable, "-m", "venv", str(BENCH / f"venv-{name}")])
    _do([str(_python(name)), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(requirements)])
    stamp.write_text(wanted)


def _kstreams(folder: Path) -> None:
    for tool in ("java", "javac", "mvn"):
        if shutil.which(tool) is None:
            raise NotInstallableError(f"{tool} is not installed")
    source, home = folder / "kstreams", BENCH / "kstreams"
    if not (home / "lib").is_dir():
        pom = ["mvn", "-q", "-B", "-f", str(source / "pom.xml"), "dependency:copy-dependencies"]
        _do([*pom, f"-DoutputDirectory={home / 'lib.part'}"])
        (home / "lib.part").rename(home / "lib")
    _do(["javac", "-cp", f"{home / 'lib'}/*", "-d", str(home / "classes"), str(source / "Bench.java")])


def _do(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstallableError(f"{command[0]}: {error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NotInstallableError(f"{Path(command[0]).name}: {said[-1] if said else 'failed without a word'}"[:200])
