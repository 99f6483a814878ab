"""What a worker knows of the broker's time, however wrong its own clock is."""

from aiokafka.structs import RecordMetadata, TopicPartition

from app.adapters.kafka.broker_clock import BrokerClock

T = 1_700_000_000.0


def ack(timestamp_s: float, kind: int = 1) -> RecordMetadata:
    return RecordMetadata("t", 0, TopicPartition("t", 0), 5, int(timestamp_s * 1000), kind, 0)


def test_before_the_first_ack_nothing_is_known():
    assert BrokerClock().at(T) is None


def test_a_local_clock_an_hour_ahead_is_set_right():
    clock = BrokerClock()
    clock.acked([ack(T)], local_s=T + 3600.5)
    assert clock.at(T + 3590.5) == T - 10


def test_it_never_says_more_than_the_broker_has_said():
    clock = BrokerClock()
    clock.acked([ack(T), ack(T + 1)], local_s=T + 1.5)
    assert clock.at(T + 9_999) == T + 1


def test_a_clock_that_is_put_back_or_forward_counts_from_the_next_ack_on():
    clock = BrokerClock()
    clock.acked([ack(T)], local_s=T)
    clock.acked([ack(T + 1)], local_s=T - 499)
    assert clock.at(T - 500) == T


def test_without_append_times_the_local_clock_is_taken():
    clock = BrokerClock()
    clock.acked([ack(7.0, kind=0), None], local_s=T)
    assert clock.at(T - 10) == T - 10


def test_the_append_time_of_a_mock_cluster_is_no_clock():
    clock = BrokerClock()
    clock.acked([ack(1.234)], local_s=T)
    assert clock.at(T - 10) == T - 10
