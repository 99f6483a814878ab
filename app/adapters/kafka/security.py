"""The connection settings in the spelling of each Kafka client."""

from typing import Any

from app.settings import Kafka


def librdkafka(kafka: Kafka) -> dict[str, Any]:
    """Address and security for confluent-kafka clients; the caller adds what its own client needs."""
    config: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap_servers, "security.protocol": kafka.protocol}
    if "SASL" in kafka.protocol:
        config |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.username,
            "sasl.password": kafka.password,
        }
    files = {
        "ssl.ca.location": kafka.ssl_cafile,
        "ssl.certificate.location": kafka.ssl_certfile,
        "ssl.key.location": kafka.ssl_keyfile,
        "ssl.key.password": kafka.ssl_key_password,
    }
    return config | {name: value for name, value in files.items() if value}
