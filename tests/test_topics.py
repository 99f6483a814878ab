import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import Topics
from app.topics import CHANGELOGS, CONTROL, EVIDENCE, Difference, Existing, Topic, declared, plan

WANTED = declared(Topics())
BY_ROLE = {topic.role: topic for topic in WANTED}


def as_declared(**changed: Existing) -> dict[str, Existing]:
    there = {topic.name: Existing(topic.partitions, topic.config) for topic in WANTED}
    return there | {BY_ROLE[role].name: existing for role, existing in changed.items()}


def altered(role: str, **config: str) -> dict[str, Existing]:
    settings = {name.replace("_", "."): value for name, value in config.items()}
    return as_declared(**{role: Existing(8, BY_ROLE[role].config | settings)})


def test_every_role_of_the_settings_is_declared_once_under_its_name():
    roles = [field for field in Topics.__struct_fields__ if field not in {"partitions", "replication_factor"}]
    assert sorted(BY_ROLE) == sorted(roles)
    assert declared(Topics(responses="ours.answers"))[0].name == "ours.answers"


def test_names_of_groups_of_roles_are_roles():
    assert set(EVIDENCE) | set(CONTROL) | set(CHANGELOGS) <= set(BY_ROLE)
    assert not set(EVIDENCE) & set(CONTROL)


@pytest.mark.parametrize("role", [*EVIDENCE, "facts"])
def test_evidence_and_facts_take_the_brokers_time(role: str):
    assert BY_ROLE[role].required["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize("role", [*CHANGELOGS, "splits"])
def test_what_is_read_as_a_table_is_compacted(role: str):
    assert BY_ROLE[role].required["cleanup.policy"] == "compact"


def test_decisions_are_kept_for_ever():
    assert BY_ROLE["optimizations"].config["retention.ms"] == "-1"


def test_nothing_is_to_do_when_everything_is_as_declared():
    assert plan(WANTED, as_declared()) == []


def test_on_an_empty_cluster_everything_is_missing():
    assert [d.kind for d in plan(WANTED, {})] == ["missing"] * len(WANTED)


def test_the_wrong_clock_on_evidence_is_wrong():
    (difference,) = plan(WANTED, altered("responses", message_timestamp_type="CreateTime"))
    assert difference.wrong
    assert str(difference) == "topic llm.responses has message.timestamp.type CreateTime, wanted LogAppendTime"


def test_another_retention_is_the_platforms_own_choice():
    (difference,) = plan(WANTED, altered("responses", retention_ms="1000"))
    assert not difference.wrong


def test_a_topic_that_is_compacted_and_deleted_is_not_a_table():
    (difference,) = plan(WANTED, altered("splits", cleanup_policy="compact,delete"))
    assert difference.wrong


def test_the_same_number_spelled_otherwise_is_no_difference():
    assert plan(WANTED, altered("services", min_cleanable_dirty_ratio="0.10")) == []


def test_a_mock_cluster_has_no_configuration_to_compare():
    assert plan(WANTED, {topic.name: Existing(4, {}) for topic in WANTED}) == []


def test_changelogs_need_a_partition_for_every_partition_of_the_facts():
    facts = Existing(16, BY_ROLE["facts"].config)
    differences = plan(WANTED, as_declared(facts=facts))
    assert [(d.topic.role, d.kind, d.wanted, d.found) for d in differences] == [
        ("services", "partitions", "16", "8"),
        ("windows", "partitions", "16", "8"),
    ]
    assert all(d.wrong for d in differences)


def test_changelogs_are_made_with_as_many_partitions_as_the_facts_have():
    there = as_declared(facts=Existing(3, BY_ROLE["facts"].config))
    del there["llm-optimizer.services"]
    (difference,) = plan(WANTED, there)
    assert (difference.kind, difference.topic.partitions) == ("missing", 3)


def test_partitions_of_other_topics_are_left_alone():
    assert plan(WANTED, as_declared(responses=Existing(64, BY_ROLE["responses"].config))) == []


def _mended(there: dict[str, Existing], difference: Difference) -> None:
    topic: Topic = difference.topic
    if difference.kind == "missing":
        there[topic.name] = Existing(topic.partitions, topic.config)
    elif difference.kind == "partitions":
        there[topic.name] = msgspec.structs.replace(there[topic.name], partitions=int(difference.wanted))
    else:
        config = {**there[topic.name].config, difference.setting: difference.wanted}
        there[topic.name] = msgspec.structs.replace(there[topic.name], config=config)


existing_topics = st.builds(
    Existing,
    partitions=st.integers(1, 32),
    config=st.dictionaries(
        st.sampled_from(["cleanup.policy", "message.timestamp.type", "retention.ms"]),
        st.sampled_from(["delete", "compact", "CreateTime", "LogAppendTime", "-1", "5"]),
    ),
)


@given(st.dictionaries(st.sampled_from([topic.name for topic in WANTED]), existing_topics))
def test_after_mending_every_difference_once_there_is_nothing_left(there: dict[str, Existing]):
    for difference in plan(WANTED, there):
        _mended(there, difference)
    assert [d for d in plan(WANTED, there) if d.wrong] == []
