"""One agent in this process: it says what it is doing, and ends when it cannot go on."""

import asyncio
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import msgspec

from app.adapters.codec.registry import RegistryError
from app.adapters.gateways.desired_http import DesiredRoutes
from app.adapters.kafka.host import Host
from app.adapters.kafka.options import EXIT_CRASH, EXIT_REGISTRY
from app.adapters.process.folder import EXIT_FOLDER, FolderError, is_unusable, make_usable
from app.adapters.process.health import Report, application, serve
from app.adapters.process.signals import on_signals
from app.adapters.process.stall import Stall, Standing
from app.adapters.process.supervisor import Hello
from app.adapters.telemetry import exposition
from app.adapters.telemetry.measure import readings
from app.adapters.telemetry.metric import Reading
from app.existing import topics_of
from app.factory import AGENTS, AgentName, desired_of, make_host
from app.settings import Settings

log = logging.getLogger(__name__)

STOP_S = 20.0
"""After SIGTERM an agent leaves in order; past this it just leaves, which only lengthens the re-read."""
PATIENCE_S = 30.0
"""How long beyond ``kafka.broker_wait_s`` a process may be without its partitions; rebalances take less."""


class AgentProcess:
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
        on_signals(self._stop)
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
