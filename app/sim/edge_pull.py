"""How an Edge-Agent keeps up: it fetches ``GET /api/v1/edge/config`` (requirements/001), and serves on without it.

What is fetched must be signed; it is taken service by service, older splits are ignored. ``If-None-Match`` is sent, and
with it the word that the whole document is in use, only when every rule of it was taken.
"""

import asyncio
import logging
import time
from pathlib import Path

import aiohttp
import msgspec

from app.adapters.gateways import signature
from app.adapters.gateways.configuration import ConfigurationUpdate, split_of
from app.core.ports import Conflict, Refused
from app.core.split import Split
from app.sim.orchestrator_state import OrchestratorState

log = logging.getLogger(__name__)

PATH = "/api/v1/edge/config"
MAX_BYTES = 64 << 20
TIMEOUT_S = 10.0


class EdgeConfig(msgspec.Struct, frozen=True):
    """The part of the answer that routing needs: one rule, a configuration update, for each service."""

    version: str
    routing_rules: tuple[ConfigurationUpdate, ...]


class EdgePull:
    """``counts``: fetched, not_modified, failed (no answer, or none that may be used), refused (rules not taken).

    ``cache``: a file that keeps the last good document over a restart.
    """

    def __init__(self, state: OrchestratorState, url: str, key: str, agent: str, cache: Path | None = None) -> None:
        self.counts = dict.fromkeys(("fetched", "not_modified", "failed", "refused"), 0)
        self._state, self._url, self._key, self._agent = state, url.rstrip("/") + PATH, key, agent
        self._cache = cache
        self._etag = ""

    def load(self) -> bool:
        """Serve by what an earlier process kept; False when there is nothing of use."""
        if self._cache is None or not self._cache.exists():
            return False
        try:
            self._take(self._cache.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            log.warning("what is kept in %s cannot be used: %s", self._cache, error)
            return False
        return True

    async def keep_up(self, session: aiohttp.ClientSession, every_s: float) -> None:
        """Fetch for ever. Whatever goes wrong, the last good document is served on."""
        while True:
            try:
                await self.once(session)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError) as error:
                self.counts["failed"] += 1
                log.log(logging.WARNING if self.counts["failed"] == 1 else logging.DEBUG, "%s: %s", self._url, error)
            await asyncio.sleep(every_s)

    async def once(self, session: aiohttp.ClientSession) -> bool:
        """Fetch once; whether there was something new. ValueError: an answer that may not be used."""
        proof = signature.signed(self._key, signature.request("GET", PATH), int(time.time()))
        headers = {"Authorization": f"{signature.SCHEME} {proof}", "X-Agent-ID": self._agent}
        if self._etag:
            headers["If-None-Match"] = f'"{self._etag}"'
        async with session.get(self._url, headers=headers, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as answer:
            if answer.status == 304:
                self.counts["not_modified"] += 1
                return False
            body = await answer.content.read(MAX_BYTES)
            while len(body) < MAX_BYTES and (more := await answer.content.read(MAX_BYTES - len(body))):
                body += more
            if answer.status != 200:
                raise ValueError(f"the optimizer answered {answer.status}: {body[:300].decode(errors='replace')}")
            etag, given = answer.headers.get("ETag", "").strip('"'), answer.headers.get("X-Signature", "")
        if not signature.is_signed(self._key, signature.answer(etag, body), given, int(time.time())):
            raise ValueError("the answer is not signed with the shared key: it is not used")
        whole = self._take(body)
        self.counts["fetched"] += 1
        self._etag = etag if whole else ""
        self._keep(body)
        return True

    def _take(self, body: bytes) -> bool:
        """Serve by every rule of a document; whether all of them were taken. ValueError: it is none."""
        rules = msgspec.json.decode(body, type=EdgeConfig).routing_rules
        taken = [self._take_rule(rule) for rule in rules]
        for gone in set(self._state.store.services()) - {rule.service_id for rule in rules}:
            self._state.remove(gone)
        return all(taken)

    def _take_rule(self, rule: ConfigurationUpdate) -> bool:
        try:
            split = split_of(rule)
            held = self._state.read(split.service)
            self._state.apply(split, held.etag if held is not None else None)
        except (ValueError, Refused, Conflict) as error:
            self.counts["refused"] += 1
            log.warning("%s: not taken, the last good split is served on: %s", rule.service_id, error)
            return False
        return self._serves(split)

    def _serves(self, split: Split) -> bool:
        held = self._state.read(split.service)
        return held is not None and held.split == split

    def _keep(self, body: bytes) -> None:
        if self._cache is None:
            return
        try:
            draft = self._cache.with_suffix(".new")
            draft.write_bytes(body)
            draft.replace(self._cache)
        except OSError as error:
            log.warning("the configuration could not be kept in %s: %s", self._cache, error)
