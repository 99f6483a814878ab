"""All settings in one frozen struct."""

import msgspec

from app.settings.api import Api
from app.settings.kafka import Kafka
from app.settings.section import Field, Section, fields
from app.settings.sections import (
    Actuate,
    Codec,
    Deployment,
    Gateway,
    Ingest,
    Log,
    Optimize,
    Platform,
    State,
    Telemetry,
    Web,
)
from app.settings.topics import Topics


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, grouped. ``Settings()`` is the defaults; ``load`` reads the sources."""

    kafka: Kafka = Kafka()
    state: State = State()
    web: Web = Web()
    api: Api = Api()
    ingest: Ingest = Ingest()
    optimize: Optimize = Optimize()
    actuate: Actuate = Actuate()
    codec: Codec = Codec()
    gateway: Gateway = Gateway()
    platform: Platform = Platform()
    topics: Topics = Topics()
    telemetry: Telemetry = Telemetry()
    log: Log = Log()
    deployment: Deployment = Deployment()


Path = tuple[str, str]
"""(section, field): where a setting lives."""

SECTIONS: dict[str, type[Section]] = {f.name: f.type for f in msgspec.structs.fields(Settings)}

FIELDS: dict[Path, Field] = {(name, f.name): f for name, section in SECTIONS.items() for f in fields(section)}
