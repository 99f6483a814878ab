"""The issuer's key set: a file that is followed, or an address that is asked, at most once in a while."""

import asyncio
import logging
import ssl
import time
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from app.api.tokens import Keys, TokenError, kid_of, parse_jwks
from app.settings.checks import is_loopback

log = logging.getLogger(__name__)

FRESH_S = 600.0
"""Keys are asked for again after this long, so that a withdrawn one stops working."""
PAUSE_S = 10.0
"""Between two questions, however many tokens name an unknown key."""
STALE_S = 86_400.0
"""With an issuer that does not answer, the last keys are good for this long."""
TIMEOUT_S = 5.0
MAX_BYTES = 1 << 20


class KeySet:
    """Keys from ``place``, trusted by ``cafile`` (empty: the system's authorities). Mutable: a cache. Raises
    ``TokenError`` when made for a plain http address elsewhere, ``OSError`` for a ``cafile`` that cannot be read.
    """

    def __init__(self, place: str, cafile: str = "") -> None:
        address = urlsplit(place)
        if address.scheme == "http" and not is_loopback(address.hostname or ""):
            raise TokenError(f"api.jwks: {place} must be https: whoever changes it on the way signs tokens")
        self._place, self._remote = place, address.scheme in {"http", "https"}
        self._trusted = ssl.create_default_context(cafile=cafile) if cafile else True
        self._keys: Keys = {}
        self._read_s = self._asked_s = float("-inf")
        self._lock = asyncio.Lock()

    async def for_token(self, token: str) -> Keys:
        """The keys to judge ``token`` by. Raises ``TokenError``."""
        kid, now = kid_of(token), time.monotonic()
        if now - self._read_s > FRESH_S or (kid and kid not in self._keys):
            await self.refresh()
        if now - self._read_s > STALE_S:
            raise TokenError("the issuer's keys are not known now")
        return self._keys

    async def refresh(self) -> None:
        """Ask again, unless somebody just did; what was known stays when there is no answer."""
        async with self._lock:
            if time.monotonic() - self._asked_s < PAUSE_S:
                return
            self._asked_s = time.monotonic()
            try:
                raw = await self._fetch() if self._remote else await asyncio.to_thread(Path(self._place).read_bytes)
                self._keys, self._read_s = parse_jwks(raw), time.monotonic()
            except (OSError, aiohttp.ClientError, TimeoutError, TokenError) as error:
                log.error("api.jwks: %s: %s", self._place, error)  # noqa: TRY400  # its text says all

    async def _fetch(self) -> bytes:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(self._place, allow_redirects=False, ssl=self._trusted) as answer,
        ):
            if answer.status != 200:
                raise TokenError(f"status {answer.status}")
            raw = await answer.content.read(MAX_BYTES + 1)
            if len(raw) > MAX_BYTES:
                raise TokenError("the key set is too large")
            return raw
