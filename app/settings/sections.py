"""The groups of settings beside Kafka and the topics."""

from typing import Annotated, Literal

from msgspec import Meta

from app.settings.section import Secret, Section

Url = Annotated[str, Meta(pattern=r"^$|^https?://\S+$", examples=["", "http://127.0.0.1:8080"])]


class State(Section, frozen=True, kw_only=True):
    """What a worker keeps on disk. Nothing there is needed to recover: the log is the state."""

    dir: Annotated[
        str,
        Meta(min_length=1, description="Folder for caches and pid files; made when missing, may be deleted any time."),
    ] = "state"


class Web(Section, frozen=True, kw_only=True):
    """The HTTP server: health, readiness, metrics, API and page."""

    host: Annotated[
        str, Meta(min_length=1, description="Address to listen on; loopback unless something outside must reach it.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port; 0 takes a free one and logs it.")] = 8080
    stall_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="A source that has lag and does not move for this long fails /health/live, so that the worker "
            "is started again; longer than a rebalance and an outage of the broker. 0: never.",
        ),
    ] = 120.0


class Ingest(Section, frozen=True, kw_only=True):
    """Stage 1: evidence into panes per source."""

    lateness_s: Annotated[
        int,
        Meta(
            ge=0,
            le=3600,
            description="Allowed lateness: a minute closes this long after its end in event time. Later events count as"
            " spend, never as statistics.",
        ),
    ] = 30
    ahead_s: Annotated[
        int,
        Meta(
            ge=0,
            le=3600,
            description="How far an event's own time may run ahead of the broker's; more is cut. At most lateness_s, "
            "else one wrong clock would close minutes of all others.",
        ),
    ] = 30
    flush_s: Annotated[
        float,
        Meta(
            gt=0,
            le=10,
            description="Interval of flushes of closed panes and marks; it bounds how late a close is seen.",
        ),
    ] = 0.25
    early_flush_s: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="Longest time between early partials of open panes, the fast path to guardrails; 0: off. Up to "
            "flush_s they leave right after the last fetch before that.",
        ),
    ] = 0.0
    idle_s: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="How long a source must have stood at its end before it is called idle and stops holding the "
            "group watermark back; at least kafka.session_timeout_s, so that a lost owner cannot speak for "
            "it.",
        ),
    ] = 10.0
    quota_per_minute: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000_000,
            description="Most events of one producer in one minute of event time and one partition; more go to the dead"
            " letters (reason over_quota). 0: no quota. Where it is changed, minutes that are open are counted anew.",
        ),
    ] = 0
    quota_header: Annotated[
        str,
        Meta(
            max_length=100,
            description="Kafka header that names the producer for quota_per_minute; empty: the CloudEvent's source.",
        ),
    ] = ""


class Optimize(Section, frozen=True, kw_only=True):
    """Stage 2: panes into rows and decisions."""

    checkpoint_s: Annotated[
        float, Meta(gt=0, le=60, description="Interval of checkpoints: outputs, then rows, then the commit.")
    ] = 1.0
    silent_s: Annotated[
        int,
        Meta(
            ge=1,
            le=86_400,
            description="A source without any sign of life for this long in log time no longer holds closes back; they "
            "then come with complete=false. Longer than the longest outage to be ridden out.",
        ),
    ] = 900
    max_services: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Most services one facts partition keeps (a row is up to 64 kB); more are refused and counted.",
        ),
    ] = 2000
    cycle_s: Annotated[
        float,
        Meta(ge=60, le=86_400, description="Interval of the main loop for services whose document does not say."),
    ] = 900.0


class Codec(Section, frozen=True, kw_only=True):
    """How events are written, and where the schemas of Avro events are known. Every form is read, always."""

    aggregates: Annotated[
        Literal["json", "avro"], Meta(description="Data of llm.aggregates and llm.aggregates.hourly.")
    ] = "json"
    anomalies: Annotated[Literal["json", "avro"], Meta(description="Data of the findings on llm.anomalies.")] = "json"
    schema_registry_url: Annotated[
        Url,
        Meta(
            description="Schema registry with Confluent's interface (Apicurio: .../apis/ccompat/v7). Avro is then "
            "written in its wire format, under the subjects <topic>-value, and read so; empty: plain Avro only."
        ),
    ] = ""
    schema_registry_username: Annotated[str, Meta(max_length=255, description="Basic authentication; empty: none.")] = (
        ""
    )
    schema_registry_password: Annotated[Secret, Meta(description="Password of schema_registry_username.")] = ""
    schema_registry_timeout_s: Annotated[
        float,
        Meta(gt=0, le=5, description="Time for one answer. An id not met before holds up its worker for two at most."),
    ] = 3.0


class Actuate(Section, frozen=True, kw_only=True):
    """Stage 3: the newest split to the gateway, until the gateway has it."""

    reconcile_s: Annotated[
        float, Meta(gt=0, le=3600, description="Interval at which a gateway is compared with the newest split.")
    ] = 5.0
    deadline_s: Annotated[
        float,
        Meta(ge=1, le=86_400, description="A split the gateway has not taken after this long is reported as failed."),
    ] = 300.0


class Gateway(Section, frozen=True, kw_only=True):
    """The gateway of services whose document names none."""

    kind: Annotated[
        Literal["none", "orchestrator", "orchestrator-grpc", "desired", "mlflow"],
        Meta(
            description="none: decisions are published on llm.splits and llm.optimizations, and nothing is called. "
            "orchestrator: REST. orchestrator-grpc: OptimizationActuator, an Edge-Agent's as well. desired: gateways "
            "fetch GET /v1/desired/{service}, and a split counts as accepted once they hold it. mlflow: endpoints of "
            "MLflow's AI Gateway, accepted once its traffic follows."
        ),
    ] = "none"
    desired_key: Annotated[
        Secret,
        Meta(
            description="Key shared with whoever fetches GET /v1/desired/{service} or GET /api/v1/edge/config from the "
            "worker's web port (HMAC-SHA256); empty: they are not served.",
        ),
    ] = ""
    desired_waiting: Annotated[
        int,
        Meta(ge=1, le=100_000, description="Long polls for desired state at one time; more are sent away with 429."),
    ] = 1000
    url: Annotated[Url, Meta(description="Base address of the gateway's configuration interface.")] = ""
    cache_s: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="For how long the gateway (mlflow) serves by what it read before: without enough traffic "
            "to see a split in, it is waited for. MLflow: --secrets-cache-ttl.",
        ),
    ] = 60.0
    token: Annotated[Secret, Meta(description="Bearer token sent to the gateway; empty: none.")] = ""
    timeout_s: Annotated[float, Meta(gt=0, le=120, description="Time for one call.")] = 5.0
    attempts: Annotated[
        int,
        Meta(
            ge=1,
            le=20,
            description="Tries of one call with growing pauses before the circuit breaker counts a failure.",
        ),
    ] = 4
    shadow: Annotated[
        bool,
        Meta(
            description="Whether the Orchestrator mirrors traffic: sends copies of a mirrored trial's control slice to "
            "its arm and tells the answers with slice shadow. The reference one does."
        ),
    ] = False
    drift: Annotated[
        Literal["reapply", "freeze"],
        Meta(
            description="What happens to a change made by hand at the gateway: the split is put back, or the service"
            " is frozen."
        ),
    ] = "reapply"


class Platform(Section, frozen=True, kw_only=True):
    """The other services of the platform."""

    observatory_url: Annotated[
        str, Meta(description="Observatory; its OTLP endpoint when telemetry.otlp_endpoint is empty.")
    ] = ""
    observatory_api_key: Annotated[Secret, Meta(description="Sent as x-api-key to the Observatory; empty: none.")] = ""
    governance_url: Annotated[Url, Meta(description="Governance (policies, budgets); empty: not asked.")] = ""
    registry_url: Annotated[Url, Meta(description="Model registry (prices, capabilities); empty: not asked.")] = ""


class Telemetry(Section, frozen=True, kw_only=True):
    """What the optimizer says about itself. /metrics is always there."""

    otlp_endpoint: Annotated[
        str,
        Meta(
            pattern=r"^$|^(https?|grpc)://\S+$",
            examples=["", "grpc://observatory:4317"],
            description="OTLP endpoint for own metrics and traces; grpc:// or http://; empty: none are pushed.",
        ),
    ] = ""
    export_interval_s: Annotated[float, Meta(ge=1, le=3600, description="Interval of OTLP metric pushes.")] = 15.0


class Log(Section, frozen=True, kw_only=True):
    """Logs go to standard error; data goes to standard output."""

    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Lowest level that is written.")
    ] = "INFO"
    format: Annotated[
        Literal["auto", "human", "json"],
        Meta(description="auto: for people on a terminal, else one JSON object a line."),
    ] = "auto"


class Deployment(Section, frozen=True, kw_only=True):
    """How the worker is deployed; the profile only changes defaults, and `config show` names it as their origin."""

    profile: Annotated[
        Literal["standalone", "sidecar", "daemon"],
        Meta(
            description="standalone: a shared service. sidecar: beside one application (512 MiB). daemon: one per node"
            " (1 GiB)."
        ),
    ] = "standalone"
