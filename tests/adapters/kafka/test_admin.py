from collections.abc import Iterator

import pytest
import stamina

from app.adapters.kafka.admin import AdminError, KafkaAdmin, TopicAdmin, apply, check, differences, refusal
from app.adapters.kafka.admin_memory import MemoryAdmin
from app.adapters.kafka.mock import MockCluster
from app.settings import Settings, load
from app.topics import Existing, declared

WANTED = declared(Settings().topics)


@pytest.fixture(scope="module")
def mock_servers() -> Iterator[str]:
    with MockCluster() as cluster:
        yield cluster.bootstrap_servers


@pytest.fixture(params=["memory", "mock cluster"])
def mock(request: pytest.FixtureRequest) -> tuple[Settings, TopicAdmin]:
    """A mock cluster and its twin: they must behave alike."""
    if request.param == "memory":
        return Settings(), MemoryAdmin(mock=True)
    settings = load(flags={"kafka.bootstrap_servers": request.getfixturevalue("mock_servers")})
    return settings, KafkaAdmin(settings)


def test_a_mock_cluster_is_recognised(mock: tuple[Settings, TopicAdmin]):
    assert mock[1].is_mock()


def test_on_a_mock_cluster_every_topic_is_made_and_only_existence_counts(mock: tuple[Settings, TopicAdmin]):
    settings, admin = mock
    names = [topic.name for topic in WANTED]
    assert "llm.never-made" not in admin.describe(["llm.never-made"])
    apply(settings, admin)
    assert check(settings, admin) == []
    assert differences(settings, admin) == []
    assert admin.describe(names) == dict.fromkeys(names, Existing(4, {}))


def test_apply_makes_what_is_missing_and_then_nothing_more():
    admin = MemoryAdmin()
    assert [d.kind for d in apply(Settings(), admin)] == ["missing"] * len(WANTED)
    assert set(admin.topics) == {topic.name for topic in WANTED}
    before = dict(admin.topics)
    assert apply(Settings(), admin) == []
    assert admin.topics == before


def test_apply_mends_the_wrong_and_leaves_the_merely_different():
    admin = MemoryAdmin({topic.name: Existing(8, topic.config) for topic in WANTED})
    admin.alter("llm.responses", {"message.timestamp.type": "CreateTime", "retention.ms": "1"})
    admin.grow("llm-optimizer.facts", 9)
    apply(Settings(), admin)
    assert admin.topics["llm.responses"].config["message.timestamp.type"] == "LogAppendTime"
    assert admin.topics["llm.responses"].config["retention.ms"] == "1"
    assert admin.topics["llm-optimizer.services"].partitions == 9
    assert [d.setting for d in differences(Settings(), admin)] == ["retention.ms"]


class Slow(MemoryAdmin):
    """A cluster that shows a change only when it is asked again."""

    def __init__(self, asked: int) -> None:
        super().__init__()
        self.left = asked

    def describe(self, names):
        self.left -= 1
        return super().describe(names) if self.left < 0 else {}


def test_apply_waits_until_the_cluster_shows_the_change():
    admin = Slow(asked=3)
    with stamina.set_testing(True, attempts=5):  # no pauses
        assert len(apply(Settings(), admin)) == len(WANTED)
    assert admin.left < 0


def test_apply_gives_up_on_a_cluster_that_never_shows_it():
    with (
        stamina.set_testing(True, attempts=5),
        pytest.raises(AdminError, match=r"still shows: topic llm\.responses is missing"),
    ):
        apply(Settings(), Slow(asked=1_000_000))


def test_a_refusal_names_each_topic_and_the_command():
    text = refusal(check(Settings(), MemoryAdmin()), "llm-optimizer --config my.toml topics apply")
    assert "topic llm.responses is missing" in text
    assert text.endswith("mend it with: llm-optimizer --config my.toml topics apply")


def test_a_broker_that_does_not_answer_is_named_with_what_to_do():
    admin = KafkaAdmin(load(flags={"kafka.bootstrap_servers": "127.0.0.1:1"}), timeout_s=0.2)
    with pytest.raises(
        AdminError, match=r"no answer from Kafka at 127\.0\.0\.1:1 in 0\.2 s .*bootstrap_servers.*make kafka"
    ):
        admin.is_mock()
