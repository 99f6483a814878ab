"""The in-memory twin of the topic administration: a cluster that is a dictionary."""

from collections.abc import Iterable, Mapping, Sequence

from app.adapters.kafka.admin import AdminError
from app.topics import Existing, Topic


class MemoryAdmin:
    """``TopicAdmin`` without a broker. A topic has the configuration it was made or altered with."""

    def __init__(self, topics: Mapping[str, Existing] | None = None, *, mock: bool = False) -> None:
        self.topics = dict(topics or {})
        self._mock = mock

    def is_mock(self) -> bool:
        return self._mock

    def describe(self, names: Iterable[str]) -> dict[str, Existing]:
        return {name: self.topics[name] for name in names if name in self.topics}

    def create(self, topics: Sequence[Topic]) -> None:
        for topic in topics:
            made = Existing(4, {}) if self._mock else Existing(topic.partitions, topic.config)
            self.topics.setdefault(topic.name, made)

    def grow(self, name: str, partitions: int) -> None:
        there = self._there(name)
        if partitions <= there.partitions:
            raise AdminError(f"Kafka refused to add partitions to topic {name}: it has {there.partitions}")
        self.topics[name] = Existing(partitions, there.config)

    def alter(self, name: str, config: Mapping[str, str]) -> None:
        there = self._there(name)
        self.topics[name] = Existing(there.partitions, {**there.config, **config})

    def _there(self, name: str) -> Existing:
        if name not in self.topics:
            raise AdminError(f"Kafka refused to configure topic {name}: it does not exist")
        return self.topics[name]
