"""What runs: one agent in this process, or a supervisor over one process per agent.

Web ports: the supervisor listens on ``web.port``; ingest, optimize and actuate on the three ports after it, or on free
ones when those are taken. The supervisor's endpoints sum up its children's.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import msgspec

from app.adapters.codec.registry import RegistryError
from app.adapters.gateways.desired_http import DesiredRoutes
from app.adapters.kafka.admin import AdminError, KafkaAdmin, check, refusal
from app.adapters.kafka.connection import aiokafka_connection
from app.adapters.kafka.host import Host
from app.adapters.kafka.options import EXIT_BROKER, EXIT_CRASH, EXIT_REGISTRY, EXIT_TOPICS
from app.adapters.kafka.quiet import quiet_libraries
from app.adapters.kafka.wait import NoBrokerError, wait_for_broker
from app.adapters.process.exposition import join
from app.adapters.process.folder import EXIT_FOLDER, FolderError, is_unusable, make_usable
from app.adapters.process.forward import hand_on
from app.adapters.process.health import Report, application, serve
from app.adapters.process.stall import Living, Stall, Standing
from app.adapters.process.supervisor import Child, Hello, Supervisor
from app.adapters.telemetry import exposition, read
from app.adapters.telemetry.catalogue import LAST_EXIT, RESTARTS
from app.adapters.telemetry.measure import readings
from app.adapters.telemetry.metric import Reading
from app.factory import AGENTS, AgentName, desired_of, make_host
from app.settings import Settings
from app.topics import Existing, declared

log = logging.getLogger(__name__)

STOP_S = 20.0
"""After SIGTERM an agent leaves in order; past this it just leaves, which only lengthens the re-read."""
PATIENCE_S = 30.0
"""How long beyond ``kafka.broker_wait_s`` a process may be without its partitions; rebalances take less."""
ASK_S = 2.0


def run_agent(settings: Settings, name: AgentName, tee: Path | None = None, *, supervised: bool = False) -> int:
    """Run one agent until SIGTERM (exit code 0) or until it cannot go on (see ``app.adapters.kafka.options``)."""
    _settle()
    return asyncio.run(_Worker(settings, name, tee, supervised=supervised).run())


def run_supervisor(settings: Settings, commands: Mapping[str, Sequence[str]]) -> int:
    """Run every command of ``commands`` (agent -> command line) as a child until SIGTERM; exit code 0."""
    return asyncio.run(_supervise(settings, commands))


def _settle() -> None:
    """Measured: short slices for the consumer's thread, and no collections of what lives for ever."""
    quiet_libraries()
    sys.setswitchinterval(0.0005)
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


class _Worker:
    """One agent's process."""

    def __init__(self, settings: Settings, name: AgentName, tee: Path | None, *, supervised: bool) -> None:
        self._settings, self._name, self._tee, self._supervised = settings, name, tee, supervised
        self._stop = asyncio.Event()
        self._host: Host | None = None
        self._desired = desired_of(settings) if name == "actuate" else None
        self._watch: asyncio.Future[None] | None = None
        self._began = time.monotonic()
        self._stall = Stall(settings.web.stall_s)
        self._pushing: asyncio.Future[None] | None = None

    async def run(self) -> int:
        try:
            return await self._run()
        except RegistryError as error:
            self._fatal(EXIT_REGISTRY, f"{error} (see codec.schema_registry_url)")
        except FolderError as error:
            self._fatal(EXIT_FOLDER, str(error))
        except Exception as error:
            log.exception("%s cannot go on", self._name)
            self._fatal(EXIT_CRASH, f"{self._name} crashed: {error!r}")

    async def _run(self) -> int:
        _on_signals(self._stop)
        make_usable(Path(self._settings.state.dir), "state.dir")
        await self._listen()
        existing = await self._until_stopped(topics_of(self._settings))
        if not isinstance(existing, dict):
            return 0 if existing is None else existing
        async with aiohttp.ClientSession() as session:
            self._host = make_host(
                self._settings, self._name, existing, self._fatal, tee=self._tee, session=session, desired=self._desired
            )
            await self._until_stopped(self._host.start())
            self._watch = asyncio.ensure_future(self._until_out_of_the_group(self._host))
            self._push(self._host)
            await self._until_stopped(self._host.crashed())
            if not self._stop.is_set():
                if is_unusable(failed := self._host.failed):
                    self._fatal(
                        EXIT_FOLDER, f"{self._name} cannot write to disk: {failed}; free space, then start again"
                    )
                self._fatal(EXIT_CRASH, f"{self._name} crashed: {failed!r}")
            await self._leave(self._host)
        return 0

    async def _until_out_of_the_group(self, host: Host) -> None:
        """End a process that has had no partitions assigned for too long: its client may have given up in silence."""
        limit_s, ready_at = self._settings.kafka.broker_wait_s + PATIENCE_S, time.monotonic()
        while time.monotonic() - ready_at < limit_s or self._stop.is_set():
            await asyncio.sleep(1.0)
            if host.ready:
                ready_at = time.monotonic()
        self._fatal(EXIT_CRASH, f"{self._name} has been out of its consumer group for {limit_s:g} s: starting again")

    async def _until_stopped(self, work: Any) -> Any:
        """The result of ``work``, or None when the process was asked to stop first (the work is cancelled)."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if task.done():
            return task.result()
        task.cancel()
        return None

    async def _leave(self, host: Host) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(STOP_S, self._fatal, 0, f"{self._name} did not leave within {STOP_S:g} s: leaving anyway")
        try:
            await host.stop()
        except Exception:
            log.exception("leaving in disorder; the next owner re-reads what was not committed")
        log.info("%s stopped", self._name)
        logging.shutdown()
        os._exit(0)  # what libraries left running in other threads may not delay the end

    def _fatal(self, code: int, reason: str) -> NoReturn:
        """End now (rule L9): nothing may be cut or committed after this."""
        log.critical("%s", reason)
        logging.shutdown()
        os._exit(0 if self._stop.is_set() else code)

    # ---- what it says of itself ------------------------------------------------------------------------------------
    async def _listen(self) -> None:
        web, offset = self._settings.web, AGENTS.index(self._name) + 1
        port = web.port + offset if 0 < web.port <= 65_535 - offset else 0
        app = application(self._look, self._stuck)
        if self._desired is not None:
            gateway = self._settings.gateway
            DesiredRoutes(self._desired, gateway.desired_key, gateway.desired_waiting).add_to(app)
        _, port = await serve(app, web.host, port)
        log.info("%s: health and metrics at http://%s:%d", self._name, web.host, port)
        if self._supervised:
            sys.stdout.write(msgspec.json.encode(Hello(port)).decode() + "\n")
            sys.stdout.flush()

    async def _look(self) -> Report:
        host = self._host
        up_s = time.monotonic() - self._began
        if host is None:
            return Report(False, {"agent": self._name, "up_s": up_s}, "")
        return Report(
            host.ready, {"agent": self._name, "up_s": up_s, **host.detail()}, exposition(self._readings(host))
        )

    def _readings(self, host: Host) -> list[Reading]:
        return readings(host, up_s=time.monotonic() - self._began, stalled=len(self._stalled(host)))

    def _stalled(self, host: Host) -> list[str]:
        lag = host.lane.lag()
        standing = {source: Standing(host.lane.engines[source].position, records) for source, records in lag.items()}
        return self._stall.look(standing, time.monotonic())

    async def _stuck(self) -> list[str]:
        """Why this process should be started again: sources that stand with lag, or a fetcher that fetches nothing."""
        host, limit_s = self._host, self._settings.web.stall_s
        if host is None or not limit_s:
            return []
        why = [f"{source} has lag and has not moved for {limit_s:g} s" for source in self._stalled(host)]
        fetched_s = host.lane.fetched_s()
        if fetched_s is not None and time.time() - fetched_s > limit_s:
            why.append(f"nothing was fetched for {limit_s:g} s")
        return why

    def _push(self, host: Host) -> None:
        """Push own metrics by OTLP, where an endpoint is set."""
        telemetry = self._settings.telemetry
        endpoint = telemetry.otlp_endpoint or self._settings.platform.observatory_url
        if not endpoint:
            return
        from app.adapters.telemetry.otlp import Push, exporter, push_for_ever

        key = self._settings.platform.observatory_api_key
        push = Push(exporter(endpoint, {"x-api-key": key} if key else {}), f"{self._name}-{os.getpid()}")
        self._pushing = asyncio.ensure_future(
            push_for_ever(push, lambda: self._readings(host), telemetry.export_interval_s, host.counts)
        )


async def topics_of(settings: Settings) -> dict[str, Existing] | int:
    """The topics that exist, once a broker answers and none is missing or wrong; else the exit code."""
    try:
        await wait_for_broker(aiokafka_connection(settings.kafka), settings.kafka.broker_wait_s)
        return await asyncio.to_thread(_topics, settings)
    except NoBrokerError as error:
        log.critical("%s", error)
        return EXIT_BROKER
    except (AdminError, WrongTopicsError) as error:
        log.critical("%s", error)
        return EXIT_TOPICS


class WrongTopicsError(RuntimeError):
    """Topics are missing or wrong; the message says which and how to mend them."""


def _topics(settings: Settings) -> dict[str, Existing]:
    admin = KafkaAdmin(settings)
    wrong = check(settings, admin)
    if wrong:
        raise WrongTopicsError(f"the topics are not as they must be:\n{refusal(wrong)}")
    return admin.describe([topic.name for topic in declared(settings.topics)])


# ---- the supervisor ------------------------------------------------------------------------------------------------
async def _supervise(settings: Settings, commands: Mapping[str, Sequence[str]]) -> int:
    stop = asyncio.Event()
    _on_signals(stop)
    try:
        make_usable(Path(settings.state.dir), "state.dir")
    except FolderError as error:
        log.critical("%s", error)
        return EXIT_FOLDER
    checking = asyncio.ensure_future(topics_of(settings))
    await asyncio.wait({checking, asyncio.ensure_future(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        return 0
    if isinstance(code := checking.result(), int):
        return code
    supervisor = Supervisor(commands)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S)) as session:
        children = list(supervisor.children.values())
        living = Living(settings.web.stall_s)

        async def look() -> Report:
            return await _sum_up(session, settings.web.host, children)

        async def stuck() -> list[str]:
            return await _stuck(session, settings.web.host, children, living)

        app = application(look, stuck)
        if settings.gateway.desired_key:
            hand_on(app, session, settings.web.host, lambda: supervisor.children.get("actuate"))
        runner, port = await serve(app, settings.web.host, settings.web.port)
        log.info("worker: health and metrics at http://%s:%d", settings.web.host, port)
        code = await supervisor.run(stop)
        await runner.cleanup()
    return code


async def _sum_up(session: aiohttp.ClientSession, host: str, children: Sequence[Child]) -> Report:
    answers = await asyncio.gather(*(_ask(session, host, child) for child in children))
    restarts = [read(RESTARTS, child.restarts, agent=child.name) for child in children]
    exits = [read(LAST_EXIT, child.last_exit or 0, agent=child.name) for child in children]
    return Report(
        all(ready for ready, _, _ in answers),
        {"agents": {child.name: detail for child, (_, detail, _) in zip(children, answers, strict=True)}},
        join([exposition([*restarts, *exits]), *(text for _, _, text in answers)]),
    )


async def _stuck(session: aiohttp.ClientSession, host: str, children: Sequence[Child], living: Living) -> list[str]:
    """Why the worker should be started again: an agent that is stuck, or runs and has not answered for too long."""
    answers = await asyncio.gather(*(_ask_live(session, host, child) for child in children))
    why = [f"{child.name}: {text}" for child, texts in zip(children, answers, strict=True) for text in texts or ()]
    heard = {child.name: texts is not None for child, texts in zip(children, answers, strict=True)}
    return why + [f"{name}: does not answer" for name in living.lost(heard, time.monotonic())]


async def _ask_live(session: aiohttp.ClientSession, host: str, child: Child) -> Sequence[str] | None:
    """Why the agent is stuck; None: it does not answer. One that is being started again is not asked."""
    if not child.port:
        return ()
    try:
        async with session.get(f"http://{host}:{child.port}/health/live") as answer:
            return list((await answer.json()).get("why", ()))
    except (aiohttp.ClientError, TimeoutError):
        return None


async def _ask(session: aiohttp.ClientSession, host: str, child: Child) -> tuple[bool, Mapping[str, Any], str]:
    known = {"pid": child.pid, "restarts": child.restarts, "last_exit": child.last_exit, "port": child.port}
    if not child.port:
        return False, {"status": "starting", **known}, ""
    base = f"http://{host}:{child.port}"
    try:
        async with session.get(f"{base}/health") as health, session.get(f"{base}/metrics") as metrics:
            detail = await health.json()
            return detail["status"] == "ready", {**detail, **known}, await metrics.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        return False, {"status": "not answering", "error": str(error), **known}, ""
