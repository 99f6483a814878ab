"""What goes wrong, one thing after the other, each observed before the next."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.e2e.harness.deployment import SESSION_S, Deployment
from tests.e2e.harness.waits import until
from tests.e2e.harness.workers import Worker


def kill_agent(worker: Worker, name: str) -> None:
    """kill -9 of one agent; returns when the supervisor has started another."""
    victim = worker.await_agent(name)
    victim.kill()
    until(lambda: worker.agents().get(name, victim).pid != victim.pid, 60, f"{name} was not started again")


def kill_worker(deployment: Deployment, worker: Worker) -> Worker:
    """kill -9 of a supervisor: its agents are gone too; returns another worker in its place."""
    agents = list(worker.agents().values())
    worker.kill()
    _, alive = psutil.wait_procs(agents, timeout=60)  # one that still starts dies once it has: slow on a busy machine
    assert not alive, f"agents outlived their supervisor: {alive}"
    return Worker(deployment, worker.log.with_suffix(".next.log"))


def zombie(worker: Worker, name: str, extra_s: float = 3.0) -> None:
    """Stop an agent until its partitions have long gone to others, then let it go on as if nothing had happened."""
    with stopped(worker.await_agent(name)):
        time.sleep(SESSION_S + extra_s)


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def run_script(steps: Sequence[Callable[[], None]], pause_s: float) -> None:
    """The steps in order, some traffic in between."""
    for step in steps:
        time.sleep(pause_s)
        step()


def log_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.log"
