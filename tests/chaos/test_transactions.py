"""The transactional producer of chaos leaves nothing open behind it."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.chaos import transactions
from tests.chaos.transactions import Transactions


class _Broker:
    """Writes down what producers ask; the first ``lost`` ends of transactions get no answer that helps."""

    def __init__(self, lost: int) -> None:
        self.lost, self.asked = lost, list[str]()

    def __call__(self, _: dict[str, Any]) -> "_Broker":
        return self

    def _say(self, word: str) -> None:
        self.asked.append(word)

    def init_transactions(self, _: float) -> None:
        self._say("init")

    def begin_transaction(self) -> None:
        self._say("begin")

    def produce(self, *_: object, **__: object) -> None:
        self._say("produce")

    def poll(self, _: float) -> None: ...

    def _end(self, _: float) -> None:
        self._say("end")
        self.lost -= 1
        if self.lost >= 0:
            raise KafkaException(KafkaError(KafkaError.INVALID_TXN_STATE))

    commit_transaction = abort_transaction = _end


@pytest.mark.parametrize(("lost", "then"), [(0, []), (1, ["init"])])
def test_a_transaction_nobody_knows_the_end_of_is_rolled_back_by_another_producer(
    lost: int, then: list[str], monkeypatch: pytest.MonkeyPatch
):
    broker = _Broker(lost)
    monkeypatch.setattr(transactions, "Producer", broker)
    sender = Transactions("", "t", 1)
    sender.send("topic", b"x", 0)
    sender.settle()
    assert broker.asked == ["init", "begin", "produce", "end", *then]


def test_where_none_was_begun_none_is_ended(monkeypatch: pytest.MonkeyPatch):
    broker = _Broker(0)
    monkeypatch.setattr(transactions, "Producer", broker)
    Transactions("", "t", 1).settle()
    assert broker.asked == []
