"""What `doctor` asks over HTTP: the schema registry, the gateway, and the worker and API on this machine."""

import base64
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.cli.finding import Finding

if TYPE_CHECKING:
    from app.settings import Settings

WITHIN_S = 3.0
UNAUTHORISED = frozenset({401, 403})
NOBODY = "llm-optimizer-doctor"
"""A service that does not exist: a gateway that knows it not, and says so, is well."""


class NoAnswerError(Exception):
    """Nothing answered; the message says why."""


def ask(url: str, headers: Mapping[str, str] = MappingProxyType({})) -> int:
    """The status of GET ``url``, whatever it is. Raises ``NoAnswerError``. No proxy: these are our own addresses."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=dict(headers)), timeout=WITHIN_S) as answer:  # noqa: S310  # http(s), checked by the settings
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError) as error:
        raise NoAnswerError(getattr(error, "reason", None) or str(error)) from None


def around(settings: "Settings") -> Iterator[Finding]:
    """Everything beside Kafka that the settings name, then the processes of this machine."""
    yield registry(settings)
    yield gateway(settings)
    yield worker(settings)
    yield api(settings)


def registry(settings: "Settings") -> Finding:
    """Whether the schema registry answers and lets us in."""
    codec = settings.codec
    if not codec.schema_registry_url:
        return Finding("registry", "ok", "none is set: JSON and plain Avro are read and written")
    login = f"{codec.schema_registry_username}:{codec.schema_registry_password}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(login).decode()}"} if codec.schema_registry_username else {}
    return _found("registry", f"{codec.schema_registry_url.rstrip('/')}/subjects", headers, "codec.schema_registry")


def gateway(settings: "Settings") -> Finding:
    """Whether the gateway's configuration interface answers."""
    wanted = settings.gateway
    if not wanted.url:
        return Finding("gateway", "ok", f"kind {wanted.kind}: nothing is called")
    if wanted.kind == "orchestrator":
        headers = {"Authorization": f"Bearer {wanted.token}"} if wanted.token else {}
        url = f"{wanted.url.rstrip('/')}/api/v1/configurations/{NOBODY}"
        return _found("gateway", url, headers, "gateway", fine=frozenset({200, 404}))
    return _listens("gateway", wanted.url, "gateway")


def worker(settings: "Settings") -> Finding:
    """Whether a worker runs here and is ready."""
    url = f"http://{_near(settings.web.host)}:{settings.web.port}/ready"
    try:
        status = ask(url)
    except NoAnswerError:
        mend = "start one with `llm-optimizer worker`, unless it runs on another machine"
        return Finding("worker", "warning", f"none answers at {url}", mend)
    if status == 200:
        return Finding("worker", "ok", "ready")
    if status == 503:
        mend = f"wait a moment, then see what it waits for: curl {url.removesuffix('/ready')}/health"
        return Finding("worker", "warning", "it is starting", mend)
    mend = "another program listens there: choose another port with --set web.port=PORT"
    return Finding("worker", "broken", f"{url} answers {status}", mend)


def api(settings: "Settings") -> Finding:
    """Whether `serve` runs here; it need not."""
    secure = "https" if settings.api.tls_certfile else "http"
    url = f"{secure}://{_near(settings.api.host)}:{settings.api.port}/health/live"
    try:
        status = ask(url)
    except NoAnswerError:
        return Finding("api", "ok", "`llm-optimizer serve` does not run here")
    if status == 200:
        return Finding("api", "ok", "`llm-optimizer serve` is up")
    mend = "see its log, or choose another port with --set api.port=PORT"
    return Finding("api", "warning", f"{url} answers {status}", mend)


def _found(
    check: str, url: str, headers: Mapping[str, str], section: str, fine: frozenset[int] = frozenset({200})
) -> Finding:
    try:
        status = ask(url, headers)
    except NoAnswerError as error:
        return Finding(check, "broken", f"no answer from {url}: {error}", f"start it, or correct {section}_url")
    if status in fine:
        return Finding(check, "ok", f"{url} answers")
    if status in UNAUTHORISED:
        return Finding(check, "broken", f"{url} answers {status}", f"correct the credentials of {section}")
    return Finding(check, "broken", f"{url} answers {status}", f"is that the right address? See {section}_url")


def _listens(check: str, url: str, section: str) -> Finding:
    parts = urlsplit(url)
    place = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection(place, WITHIN_S).close()
    except OSError as error:
        return Finding(check, "broken", f"nothing listens at {url}: {error}", f"start it, or correct {section}.url")
    return Finding(check, "ok", f"{url} listens")


def _near(host: str) -> str:
    """Where a server that listens on ``host`` is reached from this machine."""
    if host in {"0.0.0.0", ""}:  # noqa: S104  # what it listens on is not our choice
        return "127.0.0.1"
    return "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
