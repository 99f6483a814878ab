"""Topics on the broker of the suite: the same commands a platform team runs."""

import msgspec
import pytest

from app.adapters.kafka.admin import KafkaAdmin, apply, check, differences
from app.settings import Settings, Topics, load
from tests.e2e.harness.broker import Broker
from tests.e2e.harness.waits import until

pytestmark = pytest.mark.e2e


def own(broker: Broker, name: str) -> Settings:
    """Settings whose topics no other test uses."""
    roles = {
        role: f"{name}.{topic}" for role, topic in msgspec.structs.asdict(Topics()).items() if isinstance(topic, str)
    }
    flags = {f"topics.{role}": topic for role, topic in roles.items()}
    return load(flags={**flags, "kafka.bootstrap_servers": broker.address, "topics.partitions": "3"})


def test_a_worker_is_refused_until_topics_are_applied_and_applying_again_changes_nothing(kafka: Broker):
    settings = own(kafka, "topics-apply")
    admin = KafkaAdmin(settings)
    assert {difference.kind for difference in check(settings, admin)} == {"missing"}
    apply(settings, admin)
    assert differences(settings, admin) == []
    assert apply(settings, admin) == []


def test_a_wrong_clock_and_too_small_changelogs_are_mended_on_a_real_cluster(real: Broker):
    settings = own(real, "topics-mend")
    admin = KafkaAdmin(settings)
    apply(settings, admin)
    admin.alter(settings.topics.responses, {"message.timestamp.type": "CreateTime"})
    admin.grow(settings.topics.facts, 5)
    both = {"config", "partitions"}
    until(lambda: {d.kind for d in differences(settings, admin)} == both, 60, "the cluster does not show both changes")
    apply(settings, admin)
    found = admin.describe([settings.topics.responses, settings.topics.services])
    assert found[settings.topics.responses].config["message.timestamp.type"] == "LogAppendTime"
    assert differences(settings, admin) == []


def test_a_topic_that_only_one_broker_knows_yet_is_one_that_is_not_there(real: Broker, monkeypatch: pytest.MonkeyPatch):
    settings = own(real, "topics-learned")
    admin = KafkaAdmin(settings)
    apply(settings, admin)
    known = admin._metadata()
    known.topics["topics-learned.tomorrow"] = known.topics[settings.topics.facts]  # its configuration cannot be had
    monkeypatch.setattr(admin, "_metadata", lambda: known)
    found = admin.describe([settings.topics.facts, "topics-learned.tomorrow"])
    assert list(found) == [settings.topics.facts]
    assert found[settings.topics.facts].config["cleanup.policy"]
