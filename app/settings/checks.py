"""Rules between settings: what each alone may be, but not together."""

from collections.abc import Callable, Iterator

from app.settings.model import Path, Settings

Violation = tuple[Path, Path, str]
"""(the setting to change, the other one, what must hold)."""


def violations(settings: Settings) -> Iterator[Violation]:
    """The rules between settings that do not hold, in a fixed order."""
    for at, other, rule, holds in _RULES:
        if not holds(settings):
            yield at, other, rule


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    return host in {"localhost", "::1"} or host.startswith("127.")


_RULES: tuple[tuple[Path, Path, str, Callable[[Settings], bool]], ...] = (
    (
        ("ingest", "ahead_s"),
        ("ingest", "lateness_s"),
        "must be at most ingest.lateness_s: one clock that runs ahead would close the minutes of all others",
        lambda s: s.ingest.ahead_s <= s.ingest.lateness_s,
    ),
    (
        ("ingest", "idle_s"),
        ("kafka", "session_timeout_s"),
        "must be at least kafka.session_timeout_s: an owner that lost its partition may not call it idle",
        lambda s: s.ingest.idle_s >= s.kafka.session_timeout_s,
    ),
    (
        ("kafka", "heartbeat_s"),
        ("kafka", "session_timeout_s"),
        "must be at most a third of kafka.session_timeout_s: one lost heartbeat may not cost the partitions",
        lambda s: s.kafka.heartbeat_s * 3 <= s.kafka.session_timeout_s,
    ),
    (
        ("kafka", "request_timeout_s"),
        ("kafka", "session_timeout_s"),
        "must be at least kafka.session_timeout_s: joining a group may take that long to be answered",
        lambda s: s.kafka.request_timeout_s >= s.kafka.session_timeout_s,
    ),
    (
        ("kafka", "max_request_bytes"),
        ("kafka", "max_batch_bytes"),
        "must be at least kafka.max_batch_bytes: a request carries whole batches",
        lambda s: s.kafka.max_request_bytes >= s.kafka.max_batch_bytes,
    ),
    (
        ("kafka", "password"),
        ("kafka", "username"),
        "must be set together with kafka.username",
        lambda s: bool(s.kafka.password) == bool(s.kafka.username),
    ),
    (
        ("kafka", "username"),
        ("kafka", "security_protocol"),
        "must be set: kafka.security_protocol asks for SASL",
        lambda s: bool(s.kafka.username) or not s.kafka.protocol.startswith("SASL"),
    ),
    (
        ("kafka", "ssl_keyfile"),
        ("kafka", "ssl_certfile"),
        "must be set together with kafka.ssl_certfile",
        lambda s: bool(s.kafka.ssl_keyfile) == bool(s.kafka.ssl_certfile),
    ),
    (
        ("codec", "schema_registry_password"),
        ("codec", "schema_registry_username"),
        "must be set together with codec.schema_registry_username",
        lambda s: bool(s.codec.schema_registry_password) == bool(s.codec.schema_registry_username),
    ),
    (
        ("api", "auth"),
        ("api", "host"),
        "must be required: others than this machine could reach api.host",
        lambda s: s.api.auth == "required" or is_loopback(s.api.host),
    ),
    (
        ("api", "keys_file"),
        ("api", "auth"),
        "must be set, or api.jwks: somebody must be able to come in",
        lambda s: s.api.auth == "none" or bool(s.api.keys_file or s.api.jwks),
    ),
    (
        ("api", "jwt_audience"),
        ("api", "jwks"),
        "must be set together with api.jwks and api.jwt_issuer: tokens for others would be let in",
        lambda s: not s.api.jwks or bool(s.api.jwt_audience and s.api.jwt_issuer),
    ),
    (
        ("api", "tls_keyfile"),
        ("api", "tls_certfile"),
        "must be set together with api.tls_certfile",
        lambda s: bool(s.api.tls_keyfile) == bool(s.api.tls_certfile),
    ),
    (
        ("api", "tls_client_cafile"),
        ("api", "tls_certfile"),
        "needs api.tls_certfile: client certificates come with TLS",
        lambda s: not s.api.tls_client_cafile or bool(s.api.tls_certfile),
    ),
    (
        ("gateway", "url"),
        ("gateway", "kind"),
        "must be set: gateway.kind names a gateway that is called",
        lambda s: bool(s.gateway.url) or s.gateway.kind in {"none", "desired"},
    ),
    (
        ("gateway", "desired_key"),
        ("gateway", "kind"),
        "must be set: gateways that fetch their state sign with it",
        lambda s: bool(s.gateway.desired_key) or s.gateway.kind != "desired",
    ),
)
