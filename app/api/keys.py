"""API keys: random, shown once, kept as a hash; several may share an id while one replaces the other.

A key has 256 random bits, so one SHA-256 is enough: there is nothing to guess (OWASP Password Storage is about words
people choose). The file is read again when it changes; a file that cannot be read leaves the keys as they were.
"""

import hashlib
import hmac
import logging
import secrets
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from app.api.identity import Grant, GrantError, Identity, grant

log = logging.getLogger(__name__)

PREFIX = "llmopt_"


class KeysError(ValueError):
    """A file of keys that cannot be used; the message names the place."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[keys]]`` table. ``sha256``: hex; ``expires``: RFC 3339, empty for never."""

    id: str
    sha256: str
    roles: tuple[str, ...]
    expires: datetime | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[Entry, ...] = ()


class Key(msgspec.Struct, frozen=True):
    """An entry, read."""

    id: str
    digest: bytes
    grants: tuple[Grant, ...]
    expires_s: float | None

    @property
    def identity(self) -> Identity:
        """Who comes with this key."""
        return Identity(f"key:{self.id}", "api_key", self.grants)


def new_key(identity: str, roles: tuple[str, ...]) -> tuple[str, str]:
    """A fresh key, and its entry for the file. Raises ``GrantError``."""
    for role in roles:
        grant(role)
    secret = PREFIX + secrets.token_urlsafe(32)
    listed = ", ".join(f'"{role}"' for role in roles)
    return secret, f'[[keys]]\nid = "{identity}"\nsha256 = "{digest(secret).hex()}"\nroles = [{listed}]\n'


def digest(secret: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode()).digest()


def parse_keys(text: str, place: str) -> tuple[Key, ...]:
    """The keys in the TOML ``text``. Raises ``KeysError``; ``place`` is the file's name in it."""
    try:
        entries = msgspec.convert(tomllib.loads(text), _File).keys
        return tuple(_key(entry) for entry in entries)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, GrantError, ValueError) as error:
        raise KeysError(f"{place}: {error}") from None


def _key(entry: Entry) -> Key:
    raw = bytes.fromhex(entry.sha256)
    if len(raw) != 32:
        raise ValueError(f"key {entry.id!r}: sha256 must be 64 hex digits")
    if entry.expires is not None and entry.expires.tzinfo is None:
        raise ValueError(f"key {entry.id!r}: expires needs an offset, as in 2026-01-31T12:00:00Z")
    expires_s = entry.expires.astimezone(UTC).timestamp() if entry.expires else None
    return Key(entry.id, raw, tuple(map(grant, entry.roles)), expires_s)


class KeyRing:
    """The keys of a file. Mutable: follows the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys, self._stamp = parse_keys(path.read_text(encoding="utf-8"), str(path)), _stamp(path)

    def find(self, secret: str, now_s: float) -> Identity | None:
        """Who comes with ``secret``; None when no key fits or it has expired. Takes as long whatever fits."""
        self._follow()
        given, found = digest(secret), None
        for key in self._keys:
            fits = hmac.compare_digest(key.digest, given)
            if fits and (key.expires_s is None or now_s < key.expires_s):
                found = key.identity
        return found

    def _follow(self) -> None:
        try:
            stamp = _stamp(self._path)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._keys = parse_keys(self._path.read_text(encoding="utf-8"), str(self._path))
            log.info("api keys were read again: %d in %s", len(self._keys), self._path)
        except (OSError, KeysError, UnicodeDecodeError) as error:
            log.error("the keys stay as they were: %s", error)  # noqa: TRY400  # its text says all


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
