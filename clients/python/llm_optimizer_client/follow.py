"""Keeps the newest split of each service that is asked for; the last good one stays, over a restart as well."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import Counter
from http.client import HTTPException
from pathlib import Path

from llm_optimizer_client.events import new_id
from llm_optimizer_client.sources import WAIT_S, Fetched, Source
from llm_optimizer_client.split import Split

log = logging.getLogger("llm_optimizer_client")

MAX_SERVICES = 64
"""Services followed, a thread each."""
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Follower:
    """``cache``: folder in which the last good splits are kept; empty: nowhere. Mutable, for all threads.

    ``counts``: splits, fetch_failed, cache_failed, not_followed (more services than MAX_SERVICES).
    """

    def __init__(self, source: Source, cache: str | Path = "") -> None:
        self._source, self._cache = source, Path(cache) if cache else None
        self.counts: Counter[str] = Counter()
        self._splits: dict[str, Split] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child there are no threads yet; what is known is kept."""
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._followed: dict[str, threading.Event] = {}

    def split(self, service: str, patience_s: float) -> Split | None:
        """The newest split; the first time, after ``patience_s`` at most. None: not known."""
        if self.knows(service):
            return self._splits.get(service)
        self.follow(service)
        asked = self._followed.get(service)
        if asked is not None and service not in self._splits:
            with self._changed:
                self._changed.wait_for(lambda: service in self._splits or asked.is_set(), patience_s)
        return self._splits.get(service)

    def knows(self, service: str) -> bool:
        """Whether ``split`` would answer at once."""
        asked = self._followed.get(service)
        return asked is not None and (service in self._splits or asked.is_set())

    def follow(self, service: str) -> None:
        """Begin to keep the split of ``service``."""
        with self._changed:
            if service in self._followed or self._stopped.is_set():
                return
            if len(self._followed) >= MAX_SERVICES:
                self.counts["not_followed"] += 1
                return
            self._followed[service] = threading.Event()
        if service not in self._splits:
            self._load(service)
        threading.Thread(target=self._run, args=(service,), name=f"split of {service}", daemon=True).start()

    def stop(self) -> None:
        """End; a long poll that runs ends with the process or by itself."""
        self._stopped.set()

    def _run(self, service: str) -> None:
        etag, failures, stopped = "", 0, self._stopped
        while not stopped.is_set():
            pause_s = self._source.poll_s
            try:
                fetched = self._source.fetch(service, etag, WAIT_S if service in self._splits else 0)
                if fetched is not None:
                    self._take(service, fetched)
                    etag = fetched.etag
                failures = 0
                pause_s = pause_s or (0.0 if fetched is None or etag else 1.0)
            except (OSError, ValueError, HTTPException) as error:
                self.counts["fetch_failed"] += 1
                pause_s = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                failures += 1
                level = logging.WARNING if failures == 3 else logging.INFO
                log.log(level, "split of %s: %s; asked again in %g s", service, error, pause_s)
            self._followed[service].set()
            with self._changed:
                self._changed.notify_all()
            stopped.wait(pause_s)

    def _take(self, service: str, fetched: Fetched) -> None:
        split = Split(fetched.document)
        if split.service != service:
            raise ValueError(f"the answer is of service {split.service!r}")
        self._splits[service] = split
        self.counts["splits"] += 1
        log.info("%s: version %d of the split is used from now on", service, split.version)
        if self._cache is not None:
            self._keep(self._file(self._cache, service), fetched.body)

    def _keep(self, file: Path, body: bytes) -> None:
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = file.with_suffix(f".{new_id()[:8]}")
            draft.write_bytes(body)
            draft.replace(file)
        except OSError as error:
            self.counts["cache_failed"] += 1
            log.warning("the split could not be kept in %s: %s", file.parent, error)

    def _load(self, service: str) -> None:
        if self._cache is None:
            return
        file = self._file(self._cache, service)
        try:
            self._splits[service] = Split(json.loads(file.read_bytes()))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            self.counts["cache_failed"] += 1
            log.warning("%s: %s cannot be used: %s", service, file, error)

    @staticmethod
    def _file(folder: Path, service: str) -> Path:
        return folder / (hashlib.sha256(service.encode()).hexdigest()[:32] + ".split.json")
