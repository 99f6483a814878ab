"""One deployment on the shared broker: its own topics and groups, so tests do not meet."""

import itertools
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from app.adapters.kafka.admin import KafkaAdmin, apply
from app.settings import Settings, load
from app.topics import declared
from tests.e2e.harness.broker import Broker

LATENESS_S = 10
SESSION_S = 6

_COUNT = itertools.count()


class Deployment(msgspec.Struct, frozen=True):
    """Settings of the workers, as they get them: environment variables."""

    settings: Settings
    env: Mapping[str, str]


def deploy(
    broker: Broker, name: str, state: Path, counts: Mapping[str, int] | None = None, **overrides: str
) -> Deployment:
    """Settings of a deployment called ``name`` and its topics, made. ``overrides``: ``kafka__group="x"``.

    ``counts``: partitions by role; the others have 4 (``topics__partitions`` counts for the responses only).
    """
    name = f"{name}-{os.getpid()}-{next(_COUNT)}"  # a broker that is kept sees this suite, or a test, more than once
    texts = {
        "kafka__bootstrap_servers": broker.address,
        "kafka__group": name,
        "kafka__session_timeout_s": str(SESSION_S),
        "kafka__heartbeat_s": "1",
        "kafka__rebalance_timeout_s": "8",
        "ingest__lateness_s": str(LATENESS_S),
        "ingest__ahead_s": str(LATENESS_S),
        "ingest__idle_s": str(SESSION_S),
        "optimize__checkpoint_s": "0.5",
        "state__dir": str(state),
        "topics__partitions": "4",
        "web__port": "0",
        "log__level": "INFO",
        **{f"topics__{topic.role}": f"{name}.{topic.name}" for topic in declared(Settings().topics)},
        **overrides,
    }
    env = {f"LLM_OPTIMIZER__{key.upper()}": value for key, value in texts.items()}
    settings = load(env=env)
    responses = overrides.get("topics__partitions")
    _make_topics(settings, counts or ({"responses": int(responses)} if responses else {}))
    return Deployment(settings, {**os.environ, **env, "PYTHONHASHSEED": "random"})


def _make_topics(settings: Settings, counts: Mapping[str, int]) -> None:
    """Those of ``counts`` first; the facts keep 4, so that the stages differ."""
    admin = KafkaAdmin(settings)
    if not admin.is_mock():
        chosen = [topic for topic in declared(settings.topics) if topic.role in counts]
        admin.create([msgspec.structs.replace(topic, partitions=counts[topic.role]) for topic in chosen])
        settings = msgspec.structs.replace(settings, topics=msgspec.structs.replace(settings.topics, partitions=4))
    apply(settings, admin)
