"""Topics of a real cluster: describe, make, alter. The Protocol, Kafka's implementation, and what a worker checks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import stamina
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from app.adapters.kafka.security import librdkafka
from app.settings import Settings
from app.topics import Difference, Existing, Topic, declared, plan

MOCK_CLUSTER = "mockCluster"
"""How librdkafka's mock cluster begins its cluster id."""
NOT_YET = "UNKNOWN_TOPIC_OR_PART"
"""What a broker says of a topic that another one has shown: brokers learn of a new topic one after the other."""


class AdminError(RuntimeError):
    """The broker could not be asked or refused a change; the message names the broker or topic and what to do."""


class TopicAdmin(Protocol):
    """What is asked of a cluster about its topics. Every method raises AdminError."""

    def is_mock(self) -> bool: ...
    def describe(self, names: Iterable[str]) -> dict[str, Existing]: ...
    def create(self, topics: Sequence[Topic]) -> None: ...
    def grow(self, name: str, partitions: int) -> None: ...
    def alter(self, name: str, config: Mapping[str, str]) -> None: ...


class KafkaAdmin:
    """``TopicAdmin`` on a real cluster (or librdkafka's mock). ``timeout_s`` bounds every question."""

    def __init__(self, settings: Settings, timeout_s: float | None = None) -> None:
        self._timeout_s = timeout_s or settings.kafka.request_timeout_s
        self._servers = settings.kafka.bootstrap_servers
        self._mock = settings.kafka.mock
        name = {"client.id": f"{settings.kafka.group}-admin"}
        quiet = {"log_level": 2}  # what fails is raised as AdminError; librdkafka repeats it 20 times a second
        self._client = AdminClient(librdkafka(settings.kafka) | name | quiet)

    def is_mock(self) -> bool:
        """Whether the broker is the mock cluster: by setting or by its cluster id."""
        return self._mock or str(self._metadata().cluster_id).startswith(MOCK_CLUSTER)

    def cluster_id(self) -> str:
        """The id the cluster gave itself."""
        return str(self._metadata().cluster_id)

    def describe(self, names: Iterable[str]) -> dict[str, Existing]:
        """Those of ``names`` that exist, for every broker asked. The mock cluster knows no configuration: there it is
        empty.
        """
        metadata = self._metadata()
        counts = {name: len(metadata.topics[name].partitions) for name in names if name in metadata.topics}
        mock = self._mock or str(metadata.cluster_id).startswith(MOCK_CLUSTER)
        configs: dict[str, dict[str, str]] = {name: {} for name in counts} if mock else self._configs(counts)
        return {name: Existing(count, configs[name]) for name, count in counts.items() if name in configs}

    def create(self, topics: Sequence[Topic]) -> None:
        """Make the topics; one that exists by now is fine. On the mock cluster asking for a topic makes it."""
        if self.is_mock():
            for topic in topics:
                self._metadata(topic.name)
        elif topics:
            new = [NewTopic(t.name, t.partitions, t.replication_factor, config=t.config) for t in topics]
            done = self._client.create_topics(new, operation_timeout=self._timeout_s)
            self._wait(done, "make", harmless="TOPIC_ALREADY_EXISTS")

    def grow(self, name: str, partitions: int) -> None:
        """Add partitions up to ``partitions``."""
        self._wait(self._client.create_partitions([NewPartitions(name, partitions)]), "add partitions to")

    def alter(self, name: str, config: Mapping[str, str]) -> None:
        """Set these configuration entries and leave the others."""
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        self._wait(self._client.incremental_alter_configs([resource]), "configure")

    def _metadata(self, topic: str | None = None) -> Any:
        try:
            return self._client.list_topics(topic, timeout=self._timeout_s)
        except KafkaException as error:
            raise AdminError(
                f"no answer from Kafka at {self._servers} in {self._timeout_s:g} s ({_why(error)}); "
                "check kafka.bootstrap_servers, or start one with `make kafka`"
            ) from error

    def _configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        if not resources:
            return {}
        found: dict[str, dict[str, str]] = {}
        for resource, future in self._client.describe_configs(resources, request_timeout=self._timeout_s).items():
            try:
                entries = future.result()
            except KafkaException as error:
                if error.args[0].name() == NOT_YET:
                    continue
                raise AdminError(f"cannot read the configuration of topic {resource.name}: {_why(error)}") from error
            found[resource.name] = {name: entry.value or "" for name, entry in entries.items()}
        return found

    def _wait(self, futures: Mapping[Any, Any], verb: str, harmless: str = "") -> None:
        for subject, future in futures.items():
            try:
                future.result(self._timeout_s)
            except KafkaException as error:
                if error.args[0].name() != harmless:
                    name = getattr(subject, "name", subject)
                    raise AdminError(f"Kafka refused to {verb} topic {name}: {_why(error)}") from error


def _why(error: KafkaException) -> str:
    reason = error.args[0]
    return f"{reason.name()}: {reason.str()}"


def differences(settings: Settings, admin: TopicAdmin) -> list[Difference]:
    """What `topics plan` shows: every difference between the declared topics and the cluster's."""
    wanted = declared(settings.topics)
    return plan(wanted, admin.describe(topic.name for topic in wanted))


class _UnsettledError(RuntimeError):
    """A change the brokers have taken but do not show yet: their metadata follows after some milliseconds."""


def apply(settings: Settings, admin: TopicAdmin) -> list[Difference]:
    """Make what is missing and mend what is wrong, and wait until the cluster shows it; returns what was changed.
    Running it again changes nothing. AdminError when the cluster still shows a difference after request_timeout_s.
    """
    wrong = check(settings, admin)
    admin.create([difference.topic for difference in wrong if difference.kind == "missing"])
    for difference in wrong:
        if difference.kind == "partitions":
            admin.grow(difference.topic.name, int(difference.wanted))
        elif difference.kind == "config":
            admin.alter(difference.topic.name, {difference.setting: difference.wanted})
    if wrong:
        _wait_until_shown(settings, admin)
    return wrong


def _wait_until_shown(settings: Settings, admin: TopicAdmin) -> None:
    left: list[Difference] = []
    pauses = stamina.retry_context(
        on=_UnsettledError,
        attempts=None,
        timeout=settings.kafka.request_timeout_s,
        wait_initial=0.05,
        wait_max=1.0,
        wait_jitter=0.05,
    )
    try:
        for attempt in pauses:
            with attempt:
                left = check(settings, admin)
                if left:
                    raise _UnsettledError
    except _UnsettledError:
        raise AdminError(f"the cluster took the changes but still shows: {'; '.join(map(str, left))}") from None


def check(settings: Settings, admin: TopicAdmin) -> list[Difference]:
    """What keeps a worker from starting: missing and wrong topics (on the mock cluster only missing ones)."""
    return [difference for difference in differences(settings, admin) if difference.wrong]


def refusal(wrong: Iterable[Difference], command: str = "llm-optimizer topics apply") -> str:
    """What a worker prints when it refuses to start: each difference and the command that mends them."""
    return "\n".join([*(f"  {difference}" for difference in wrong), f"mend it with: {command}"])
