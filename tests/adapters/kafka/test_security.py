from app.adapters.kafka.security import librdkafka
from app.settings import load


def test_a_plain_broker_needs_only_its_address():
    assert librdkafka(load().kafka) == {"bootstrap.servers": "127.0.0.1:9092", "security.protocol": "PLAINTEXT"}


def test_sasl_over_tls_carries_user_mechanism_and_authority():
    flags = {
        "kafka.bootstrap_servers": "b:9093",
        "kafka.username": "me",
        "kafka.password": "hush",
        "kafka.sasl_mechanism": "SCRAM-SHA-512",
        "kafka.ssl_cafile": "ca.pem",
    }
    assert librdkafka(load(flags=flags).kafka) == {
        "bootstrap.servers": "b:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": "hush",
        "ssl.ca.location": "ca.pem",
    }
