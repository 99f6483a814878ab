import logging

from app.adapters.kafka.quiet import RateLimit, quiet_libraries


def record(text: str = "again") -> logging.LogRecord:
    return logging.LogRecord("aiokafka", logging.WARNING, "f", 1, text, None, None)


def test_a_burst_is_cut_and_the_next_window_says_how_much():
    now = [0.0]
    limit = RateLimit(burst=3, window_s=10.0, clock=lambda: now[0])
    assert [limit.filter(record()) for _ in range(5)] == [True, True, True, False, False]
    now[0] = 10.5
    late = record()
    assert limit.filter(late)
    assert late.getMessage() == "[2 similar messages dropped] again"
    assert limit.dropped == 2


def test_quiet_libraries_can_be_called_twice():
    quiet_libraries()
    before = list(logging.getLogger("aiokafka").handlers)
    quiet_libraries()
    assert logging.getLogger("aiokafka").handlers == before
    assert logging.getLogger("aiokafka").level == logging.WARNING
