"""The connection settings in aiokafka's and Faust's spelling."""

import ssl
from typing import TYPE_CHECKING, Any

from app.settings import Kafka

if TYPE_CHECKING:
    from faust.auth import SASLCredentials, SSLCredentials


def ssl_context(kafka: Kafka) -> ssl.SSLContext | None:
    """TLS as the settings say; None for protocols without it. Raises OSError when a file cannot be read."""
    if "SSL" not in kafka.protocol:
        return None
    context = ssl.create_default_context(cafile=kafka.ssl_cafile or None)
    if kafka.ssl_certfile:
        context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile or None, kafka.ssl_key_password or None)
    return context


def aiokafka_connection(kafka: Kafka) -> dict[str, Any]:
    """Keyword arguments for an aiokafka client: address, security, timeouts."""
    connection: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers.split(","),
        "security_protocol": kafka.protocol,
        "ssl_context": ssl_context(kafka),
        "request_timeout_ms": int(kafka.request_timeout_s * 1000),
    }
    if "SASL" in kafka.protocol:
        connection |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.username,
            "sasl_plain_password": kafka.password,
        }
    return connection


def faust_credentials(kafka: Kafka) -> "SASLCredentials | SSLCredentials | None":
    """The same for ``faust.App``; None on an open connection."""
    # 3 MB that a supervisor does not need
    from faust.auth import SASLCredentials, SSLCredentials

    context = ssl_context(kafka)
    if "SASL" in kafka.protocol:
        return SASLCredentials(
            username=kafka.username, password=kafka.password, mechanism=kafka.sasl_mechanism, ssl_context=context
        )
    return SSLCredentials(context) if context is not None else None
