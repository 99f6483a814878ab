"""What a worker knows of the broker's time, however wrong its own clock is."""

from aiokafka.structs import RecordMetadata, TopicPartition

from app.adapters.kafka.broker_clock import BrokerClock


def ack(timestamp_s: float, kind: int = 1) -> RecordMetadata:
    return RecordMetadata("t", 0, TopicPartition("t", 0), 5, int(timestamp_s * 1000), kind, 0)


def test_before_the_first_ack_nothing_is_known():
    assert BrokerClock().at(1000.0) is None


def test_a_local_clock_an_hour_ahead_is_set_right():
    clock = BrokerClock()
    clock.acked([ack(1000.0)], local_s=4600.5)
    assert clock.at(4590.5) == 990.0


def test_it_never_says_more_than_the_broker_has_said():
    clock = BrokerClock()
    clock.acked([ack(1000.0), ack(1001.0)], local_s=1001.5)
    assert clock.at(9_999.0) == 1001.0


def test_a_clock_that_is_put_back_or_forward_counts_from_the_next_ack_on():
    clock = BrokerClock()
    clock.acked([ack(1000.0)], local_s=1000.0)
    clock.acked([ack(1001.0)], local_s=501.0)
    assert clock.at(500.0) == 1000.0


def test_without_append_times_the_local_clock_is_taken():
    clock = BrokerClock()
    clock.acked([ack(7.0, kind=0), None], local_s=1000.0)
    assert clock.at(990.0) == 990.0
