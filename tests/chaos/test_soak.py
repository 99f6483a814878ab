"""What a soak says of minutes: one that may still come is waited for, one that is overdue is lost."""

from types import SimpleNamespace
from typing import Any

import pytest

from app.settings import Settings
from tests.chaos import soak
from tests.chaos.account import Rules
from tests.chaos.soak import Soak
from tests.chaos.verdict import Found
from tests.e2e.harness.topic import Message

MINUTE_S = 1_762_682_400
EVENT = b'{"id":"1","source":"/p","time":"2025-11-09T10:00:00Z","data":{"service":"s","model":"m","latency_ms":2}}'
ROW: dict[str, Any] = {
    "count": 1, "errors": 0, "input_tokens": 0, "output_tokens": 0, "late": 0, "quality": {}, "cost_usd": 0.0,
    "latency_ms": {"mean": 2.0, "max": 2.0},
}  # fmt: skip


class _Topic:
    """Gives what ``coming`` holds, once."""

    def __init__(self, *_: object) -> None:
        self.coming: list[Message] = []

    def new(self) -> list[Message]:
        came, self.coming = self.coming, []
        return came


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> tuple[Soak, Found]:
    found = Found()
    monkeypatch.setattr(soak, "Follower", _Topic)
    monkeypatch.setattr(soak, "Outputs", lambda _: SimpleNamespace(found=lambda: found))
    world: Any = SimpleNamespace(settings=Settings(), broker=SimpleNamespace(address=""), rules=Rules(10, 10))
    one = Soak(world)
    one._counters[0][1].coming = [Message(0, 0, None, EVENT, (), (MINUTE_S + 1) * 1000)]  # type: ignore[attr-defined]  # a _Topic
    return one, found


def _come(found: Found) -> None:
    found.rows |= {("s", MINUTE_S, arm): ROW for arm in ("m", "*")}


def test_a_minute_that_comes_later_than_it_can_is_waited_for(seen: tuple[Soak, Found]):
    one, found = seen
    assert not one.look(MINUTE_S + 60, overdue_s=MINUTE_S)
    _come(found)
    assert one.look(MINUTE_S + 60, overdue_s=MINUTE_S)
    assert (one.wrong, one.minutes) == ([], 1)


def test_a_minute_that_is_overdue_is_lost(seen: tuple[Soak, Found]):
    one, _ = seen
    assert one.look(MINUTE_S + 60, overdue_s=MINUTE_S + 60)
    assert any(line.startswith("lost: ('s', 1762682400, 'm'): count 0, expected 1") for line in one.wrong)


def test_a_minute_that_nobody_sent_is_doubled(seen: tuple[Soak, Found]):
    one, found = seen
    _come(found)
    found.rows["s", MINUTE_S, "m"] = ROW | {"count": 2}
    assert one.look(MINUTE_S + 60, overdue_s=MINUTE_S + 60)
    assert any("count 2, expected 1" in line for line in one.wrong)


def test_what_was_refused_must_be_a_dead_letter_at_the_end(seen: tuple[Soak, Found]):
    one, found = seen
    one._counters[0][1].coming.append(Message(0, 1, None, b"not json", ()))  # type: ignore[attr-defined]  # a _Topic
    _come(found)
    assert one.look(MINUTE_S + 60, overdue_s=MINUTE_S)
    topic = Settings().topics.responses
    assert one.rest() == [f"dead letters: ('{topic}', 0, 1) is missing"]
    found.letters[topic, 0, 1] = b"not json"
    assert one.rest() == []
