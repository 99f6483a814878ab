"""The kill switch."""

import itertools

import pytest

from app.core import freeze
from app.core.batch import Batch
from app.core.commands import COMMAND
from app.core.events import ControlEvent
from app.core.freeze import Freeze, Freezes
from tests.core.splits import batch, command, decode_command


def freezes(*batches: Batch) -> Freezes:
    switches = Freezes(decode_command)
    for one in batches:
        switches.fold(one)
    return switches


def at(ms: int, verb: str, service: str = "*", **args: object) -> Batch:
    return batch([command(verb, service, args)], at_ms=ms)


def test_nothing_is_frozen_at_first():
    assert not freezes().of("bot").active


def test_freeze_and_resume_of_one_service_touch_only_that_service():
    switches = freezes(at(1, "freeze", "bot"))
    assert switches.of("bot") == Freeze(active=True, since_ms=1)
    assert not switches.of("other").active
    switches.fold(at(2, "resume", "bot"))
    assert not switches.of("bot").active


def test_a_freeze_of_all_holds_for_services_never_named():
    assert freezes(at(1, "freeze")).of("anything").active


def test_hold_is_remembered():
    assert freezes(at(1, "freeze", "bot", hold=True)).of("bot").hold


@pytest.mark.parametrize(
    ("commands", "active"),
    [
        (((1, "freeze", "bot"), (2, "resume", "*")), False),
        (((1, "resume", "*"), (2, "freeze", "bot")), True),
        (((1, "freeze", "*"), (2, "resume", "bot")), False),
        (((1, "resume", "bot"), (2, "freeze", "*")), True),
        (((1, "freeze", "*"), (1, "resume", "bot")), True),
        (((1, "resume", "*"), (1, "freeze", "bot")), True),
    ],
)
def test_the_newest_of_own_and_common_command_counts_in_whatever_order_partitions_are_read(commands, active):
    for order in itertools.permutations(commands):
        assert freezes(*(at(*one) for one in order)).of("bot").active is active


def test_of_two_commands_in_one_millisecond_and_partition_the_later_counts():
    switches = freezes(batch([command("freeze", "bot"), command("resume", "bot")], at_ms=5))
    assert not switches.of("bot").active


def test_other_commands_and_rubbish_change_nothing():
    values = [command("pause", "bot"), b"{", None, b"[]"]
    switches = freezes(batch(values))
    assert not switches.of("bot").active
    assert switches.unreadable == 3


def test_a_freeze_works_even_when_its_arguments_are_wrong():
    switches = freezes(batch([b'{"service": "bot", "command": "freeze", "args": {"hold": "yes"}}']))
    assert switches.of("bot") == Freeze(active=True, since_ms=1_000)


def test_a_command_without_a_verb_or_nested_without_end_is_counted():
    switches = Freezes(lambda value, headers: ControlEvent("id", "/x", COMMAND, "bot", value or b""))
    switches.fold(batch([b"{}", b'{"command": "freeze", "args": ' + b"[" * 50_000, b'{"command": "\xff"}']))
    assert (switches.unreadable, switches.of("bot").active) == (3, False)


def test_events_of_other_types_are_passed_over():
    switches = Freezes(lambda value, headers: ControlEvent("id", "/x", "alert", "bot", value or b""))
    switches.fold(batch([command("freeze", "bot")]))
    assert (switches.unreadable, switches.of("bot").active) == (0, False)


def test_beyond_the_bound_a_freeze_stops_everything_and_a_resume_is_refused(monkeypatch):
    monkeypatch.setattr(freeze, "MAX_SERVICES", 1)
    switches = freezes(at(1, "freeze", "a"), at(2, "resume", "b"))
    assert switches.overflowed == 1
    assert not switches.of("c").active
    switches.fold(at(3, "freeze", "b"))
    assert switches.of("c").active
    assert switches.overflowed == 2


def test_it_is_not_known_before_the_end_of_the_log_was_seen():
    switches = freezes()
    assert not switches.known
    switches.complete()
    assert switches.known
