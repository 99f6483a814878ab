"""What runs: one agent in this process, or a supervisor over one process per agent.

Web ports: the supervisor listens on ``web.port``; ingest, optimize and actuate on the three ports after it, or on free
ones when those are taken. The supervisor's endpoints sum up its children's.

Each imports only what it runs: what a process has imported it holds for as long as it lives.
"""

import asyncio
import gc
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.adapters.kafka.quiet import quiet_libraries
from app.adapters.process.memory import keep_freed
from app.settings import Settings

if TYPE_CHECKING:
    from app.factory import AgentName


def run_agent(settings: Settings, name: "AgentName", tee: Path | None = None, *, supervised: bool = False) -> int:
    """Run one agent until SIGTERM (exit code 0) or until it cannot go on (see ``app.adapters.kafka.options``)."""
    from app.agent_process import AgentProcess

    settle()
    return asyncio.run(AgentProcess(settings, name, tee, supervised=supervised).run())


def run_supervisor(settings: Settings, commands: Mapping[str, Sequence[str]]) -> int:
    """Run every command of ``commands`` (agent -> command line) as a child until SIGTERM; exit code 0."""
    from app.supervise import supervise

    return asyncio.run(supervise(settings, commands))


def settle() -> None:
    """Measured: short slices for the consumer's thread, freed memory kept, no collections of what lives for ever."""
    quiet_libraries()
    keep_freed()
    sys.setswitchinterval(0.0005)
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
