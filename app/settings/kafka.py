"""How the broker is reached and how a worker takes part in its consumer group."""

from typing import Annotated, Literal

from msgspec import Meta

from app.settings.section import Secret, Section

Seconds = float


class Kafka(Section, frozen=True, kw_only=True):
    """Broker, security, and the client timings measured for the batch lane."""

    bootstrap_servers: Annotated[
        str,
        Meta(
            pattern=r"^[^\s,]+:\d{1,5}(,[^\s,]+:\d{1,5})*$",
            examples=["127.0.0.1:9092", "broker-1:9092,broker-2:9092"],
            description="host:port of one or more brokers, separated by commas; any of them names the others.",
        ),
    ] = "127.0.0.1:9092"
    group: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._-]{1,100}$",
            examples=["llm-optimizer", "llm-optimizer.staging"],
            description="Prefix of the consumer groups (one per agent) and client ids; workers that share it share the "
            "work.",
        ),
    ] = "llm-optimizer"
    mock: Annotated[
        bool,
        Meta(
            description="The broker is librdkafka's mock cluster (also detected by its cluster id): it has no topic"
            " configuration and makes a topic when asked for it, so only the existence of topics is checked."
        ),
    ] = False

    security_protocol: Annotated[
        Literal["auto", "plaintext", "ssl", "sasl_plaintext", "sasl_ssl"],
        Meta(
            description="auto: sasl_ssl when a username is set, ssl when a CA or client certificate is set, else"
            " plaintext. A password never goes over an open connection unless sasl_plaintext is asked for."
        ),
    ] = "auto"
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
        Meta(description="How username and password are proven; hosted brokers mostly want PLAIN over TLS."),
    ] = "PLAIN"
    username: Annotated[str, Meta(max_length=255, description="SASL user; empty: no SASL.")] = ""
    password: Annotated[Secret, Meta(description="SASL password. Better from the environment than from a file.")] = ""
    ssl_cafile: Annotated[str, Meta(description="PEM file of the authority to trust; empty: the system's.")] = ""
    ssl_certfile: Annotated[str, Meta(description="PEM file of the client certificate (mutual TLS); empty: none.")] = ""
    ssl_keyfile: Annotated[str, Meta(description="PEM file of the client certificate's key.")] = ""
    ssl_key_password: Annotated[Secret, Meta(description="Passphrase of ssl_keyfile; empty: not encrypted.")] = ""

    fetch_min_bytes: Annotated[
        int,
        Meta(
            ge=1,
            le=64 << 20,
            description="The broker waits for this much (or fetch_max_wait_ms) before it answers. 128 KiB costs 6 ms at"
            " the median and saves half of the CPU against 64 KiB; take 65536 where the 99th percentile "
            "matters more.",
        ),
    ] = 131_072
    fetch_max_wait_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=5000,
            description="Longest wait for fetch_min_bytes. Every offset question queues behind it, so seconds here are "
            "seconds at each start.",
        ),
    ] = 50
    fetch_max_bytes: Annotated[
        int,
        Meta(
            ge=1 << 10,
            le=256 << 20,
            description="Most bytes of one partition per fetch: bounds the memory of a catch-up.",
        ),
    ] = 1 << 20
    batch_records: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Most records folded without giving way to heartbeats (5,000 are about 15 ms).",
        ),
    ] = 5000
    buffer_batches: Annotated[
        int,
        Meta(ge=1, le=1000, description="Fetched batches that may wait for the fold, per topic: the queue's bound."),
    ] = 8
    max_unflushed_records: Annotated[
        int,
        Meta(
            ge=1000,
            le=100_000_000,
            description="Records folded and not yet acked in what they led to; at this many folding waits for the "
            "broker. Bounds the memory of dead letters, facts and outputs when acks are slow.",
        ),
    ] = 250_000

    session_timeout_s: Annotated[
        Seconds, Meta(ge=1, le=300, description="Silence after which the group gives a worker's partitions away.")
    ] = 10.0
    heartbeat_s: Annotated[
        Seconds, Meta(gt=0, le=100, description="Interval of heartbeats; at most a third of session_timeout_s.")
    ] = 3.0
    rebalance_timeout_s: Annotated[
        Seconds, Meta(ge=1, le=600, description="Time every member has to finish its flush when the group changes.")
    ] = 15.0
    request_timeout_s: Annotated[
        Seconds, Meta(ge=1, le=600, description="Time for one answer of the broker; not below session_timeout_s.")
    ] = 30.0
    broker_wait_s: Annotated[
        Seconds,
        Meta(
            ge=0,
            le=3600,
            description="At start a worker waits this long for a broker that does not answer, then exits.",
        ),
    ] = 120.0
    commit_interval_s: Annotated[
        Seconds,
        Meta(gt=0, le=60, description="Interval of commit points: what a crash has to read again."),
    ] = 1.0
    on_retention_gap: Annotated[
        Literal["exit", "accept"],
        Meta(
            description="What happens when retention deleted records before they were read: exit and say how many, or"
            " accept the gap, count it and go on."
        ),
    ] = "exit"
    producer_linger_ms: Annotated[
        int,
        Meta(ge=0, le=1000, description="Wait for more records before sending; 0, since a flush already is a batch."),
    ] = 0
    producer_timeout_s: Annotated[
        Seconds,
        Meta(
            ge=1,
            le=600,
            description="A batch not acknowledged in this time ends the worker: it restarts from its last commit.",
        ),
    ] = 60.0
    max_batch_bytes: Annotated[
        int,
        Meta(ge=1 << 10, le=64 << 20, description="Largest produced batch; not above the broker's message.max.bytes."),
    ] = 1 << 20
    max_request_bytes: Annotated[
        int, Meta(ge=1 << 10, le=256 << 20, description="Largest produce request: several partitions' batches in one.")
    ] = 4 << 20

    @property
    def protocol(self) -> str:
        """The security protocol as clients spell it, with ``auto`` resolved: ``PLAINTEXT``, ``SSL``, ``SASL_SSL``..."""
        if self.security_protocol != "auto":
            return self.security_protocol.upper()
        if self.username:
            return "SASL_SSL"
        return "SSL" if self.ssl_cafile or self.ssl_certfile else "PLAINTEXT"
