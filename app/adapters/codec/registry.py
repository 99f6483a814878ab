"""A schema registry that speaks Confluent's interface (Confluent, Apicurio's ccompat, Karapace, Redpanda).

Three questions are enough: which schema has this id, which id has this schema under this subject, what is known of a
subject. An answer is believed for ever: ids are never given twice. That the registry does not answer is no answer:
whether a record is readable may not depend on the hour it is read (rule I0).
"""

import base64
import http.client
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Protocol

import msgspec

from app.adapters.codec.avro_compat import breaks

ATTEMPTS = 2
_JSON = "application/vnd.schemaregistry.v1+json"
_NOT_FOUND, _CONFLICT, _INVALID = 404, 409, 422


class RegistryError(Exception):
    """The registry cannot be used; the message says why and what to do."""


class RegistryDownError(RegistryError):
    """No usable answer: down, too slow, refused, or not a registry."""


class IncompatibleError(RegistryError):
    """The registry refuses a schema: readers of the subject could not read what is written with it."""


class Registry(Protocol):
    """A schema registry. Every call may raise ``RegistryDownError``."""

    def schema(self, identity: int) -> str | None:
        """The schema with this id, None when the registry says there is none."""
        ...

    def known(self, subject: str) -> dict[int, str]:
        """Id -> schema of every version of ``subject``; empty when there is no such subject."""
        ...

    def register(self, subject: str, schema: str) -> int:
        """The id of ``schema``, registered under ``subject`` if it was not, backward compatible with the versions
        before it. Raises ``IncompatibleError``.
        """
        ...


class HttpRegistry:
    """A registry at ``url``, as ``http://127.0.0.1:8081`` or Apicurio's ``.../apis/ccompat/v7``. Calls block for at
    most ``ATTEMPTS`` times ``timeout_s``.
    """

    def __init__(self, url: str, *, username: str = "", password: str = "", timeout_s: float = 3.0) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._headers = {"accept": _JSON, "content-type": _JSON}
        if username:
            proof = base64.b64encode(f"{username}:{password}".encode()).decode()
            self._headers["authorization"] = f"Basic {proof}"

    def schema(self, identity: int) -> str | None:
        found = self._ask("GET", f"/schemas/ids/{identity}")
        return None if found is None else self._text(found, "schema")

    def known(self, subject: str) -> dict[int, str]:
        place = f"/subjects/{_quoted(subject)}/versions"
        versions = [self._ask("GET", f"{place}/{version}") for version in self._ask("GET", place) or ()]
        return {v["id"]: self._text(v, "schema") for v in versions if v is not None}

    def register(self, subject: str, schema: str) -> int:
        rule = self._ask("GET", f"/config/{_quoted(subject)}")
        if rule is None or rule.get("compatibilityLevel", "NONE") == "NONE":  # a stricter rule is somebody's decision
            self._ask("PUT", f"/config/{_quoted(subject)}", {"compatibility": "BACKWARD"})
        made = self._ask("POST", f"/subjects/{_quoted(subject)}/versions", {"schema": schema})
        if not isinstance(made, dict) or not isinstance(made.get("id"), int):
            raise RegistryDownError(f"{self._url} is no schema registry: it registered {subject} without an id")
        identity: int = made["id"]
        return identity

    def _text(self, answer: Any, name: str) -> str:
        text = answer.get(name) if isinstance(answer, dict) else None
        if not isinstance(text, str):
            raise RegistryDownError(f"{self._url} is no schema registry: an answer has no {name!r}")
        return text

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer; None for 404."""
        data = None if body is None else msgspec.json.encode(body)
        request = urllib.request.Request(self._url + path, data, self._headers, method=method)  # noqa: S310 - settings admit http and https alone
        for attempt in range(ATTEMPTS):
            try:
                with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310 - as above
                    return msgspec.json.decode(answer.read())
            except urllib.error.HTTPError as error:
                if error.code == _NOT_FOUND:
                    return None
                said = error.read(500).decode(errors="replace")
                if error.code in (_CONFLICT, _INVALID):
                    raise IncompatibleError(f"the schema registry refuses {method} {path}: {said}") from None
                why = f"{error.code} {said}"
            except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
                why = str(error)
            if attempt == ATTEMPTS - 1:
                raise RegistryDownError(f"the schema registry at {self._url} gives no answer to {method} {path}: {why}")
        return None


def _quoted(subject: str) -> str:
    return urllib.parse.quote(subject, safe="")


class MemoryRegistry:
    """The twin in memory, with the same rules. ``down`` True: nobody answers."""

    def __init__(self) -> None:
        self.down = False
        self._ids: dict[str, int] = {}
        self._subjects: dict[str, list[int]] = {}

    def schema(self, identity: int) -> str | None:
        self._answer()
        return next((schema for schema, known in self._ids.items() if known == identity), None)

    def known(self, subject: str) -> dict[int, str]:
        self._answer()
        return {identity: self.schema(identity) or "" for identity in self._subjects.get(subject, ())}

    def register(self, subject: str, schema: str) -> int:
        self._answer()
        same = msgspec.json.encode(msgspec.json.decode(schema)).decode()
        versions = self._subjects.setdefault(subject, [])
        known = self._ids.get(same)
        if known in versions and known is not None:
            return known
        for before in list(self.known(subject).values())[-1:]:
            found = breaks(msgspec.json.decode(before), msgspec.json.decode(schema))
            if found:
                raise IncompatibleError(f"{subject}: {'; '.join(found)}")
        identity = self._ids.setdefault(same, len(self._ids) + 1)
        versions.append(identity)
        return identity

    def _answer(self) -> None:
        if self.down:
            raise RegistryDownError("the registry in memory is down")
