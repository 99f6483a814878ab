"""The contract of every detector and test, as checks: `tests/core/test_contract.py` runs them over `subjects.py`.

A *detector* is a frozen state, `update(state, input) -> state`, and `alarm(state)`. A *test* is one call that answers
with a p-value. A *scorer* changes itself and scores a point before it learns it. A *sum* is what claims to be merged in
any order. A new rule is added to `subjects.py`, never checked by hand.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import msgspec
import pytest


class Detector(NamedTuple):
    """`ordinary`: nothing changes in it; `changed`: must alarm after that; `noise`: is no information (empty, NaN);
    `hostile`: may mean anything, must be survived; `constant`: one input repeated, never an alarm. `level`: in [0, 1].
    """

    name: str
    fresh: Callable[[], Any]
    update: Callable[[Any, Any], Any]
    alarm: Callable[[Any], bool]
    ordinary: Sequence[Any]
    changed: Sequence[Any]
    noise: Sequence[Any] = ()
    hostile: Sequence[Any] = ()
    constant: Any = None
    level: Callable[[Any], float] | None = None

    def run(self, *parts: Sequence[Any]) -> Any:
        state = self.fresh()
        for part in parts:
            for one in part:
                state = self.update(state, one)
        return state


class Test(NamedTuple):
    """`call(*input)` gives p in [0, 1]; `same`: inputs without a difference; `different`: p must be below .001;
    `empty`: p must be 1; `refused`: must be a clear ValueError; `hostile`: an answer or a ValueError.
    """

    name: str
    call: Callable[..., float]
    same: Sequence[tuple[Any, ...]]
    different: Sequence[tuple[Any, ...]]
    empty: Sequence[tuple[Any, ...]] = ()
    refused: Sequence[tuple[Any, ...]] = ()
    hostile: Sequence[tuple[Any, ...]] = ()


class Merged(NamedTuple):
    """`add(a, b)` leaves both as they are; `parts` add up exactly in floating point."""

    name: str
    add: Callable[[Any, Any], Any]
    parts: Sequence[Any]
    empty: Any


# ---- detectors ----
def check_inputs_stay_as_they_are(subject: Detector) -> None:
    state = subject.run(subject.ordinary)
    for one in (*subject.ordinary[:3], *subject.changed[:3], *subject.noise, *subject.hostile):
        kept, given = packed(state), copy.deepcopy(one)
        subject.update(state, one)
        assert packed(state) == kept and repr(one) == repr(given)


def check_a_snapshot_goes_on_as_the_original(subject: Detector) -> None:
    state = subject.fresh()
    for one in (*subject.ordinary, *subject.changed):
        state = subject.update(state, one)
        again = msgspec.msgpack.decode(snapshot(state), type=type(state))
        assert again == state
        assert packed(subject.update(again, one)) == packed(subject.update(state, one))


def check_twice_is_the_same(subject: Detector) -> None:
    parts = subject.ordinary, subject.changed, subject.hostile
    assert packed(subject.run(*parts)) == packed(subject.run(*parts))


def check_ordinary_is_no_alarm_and_change_is_one(subject: Detector) -> None:
    assert not subject.alarm(subject.fresh())
    assert not any(subject.alarm(state) for state in _states(subject, subject.ordinary))
    state = subject.run(subject.ordinary)
    alarms = []
    for one in subject.changed:
        state = subject.update(state, one)
        alarms.append(subject.alarm(state))
    assert any(alarms)


def check_noise_is_no_information(subject: Detector) -> None:
    """Empty and non-numeric inputs change nothing but the counter of what was skipped."""
    state = subject.run(subject.ordinary)
    for one in subject.noise:
        assert without_counter(subject.update(state, one)) == without_counter(state)
        assert without_counter(subject.update(subject.fresh(), one)) == without_counter(subject.fresh())


def check_a_constant_is_no_alarm(subject: Detector) -> None:
    if subject.constant is not None:
        assert not any(subject.alarm(state) for state in _states(subject, [subject.constant] * 150))


def check_hostile_input_is_survived(subject: Detector) -> None:
    """No exception, no number in the state that is not finite, and a level within its bounds, before and after."""
    state = subject.run(subject.hostile, subject.ordinary, subject.hostile, subject.noise, subject.ordinary)
    assert all_finite(state)
    for state in _states(subject, (*subject.hostile, *subject.ordinary, *subject.changed)):
        assert all_finite(state)
        if subject.level is not None:
            assert 0.0 <= subject.level(state) <= 1.0
            assert (subject.level(state) == 1.0) == subject.alarm(state)


# ---- tests ----
def check_p_is_small_exactly_where_there_is_a_difference(subject: Test) -> None:
    assert all(0.001 < subject.call(*one) <= 1.0 for one in subject.same)
    assert all(0.0 <= subject.call(*one) < 0.001 for one in subject.different)
    assert all(subject.call(*one) == 1.0 for one in subject.empty)


def check_answers_repeat_and_leave_inputs_alone(subject: Test) -> None:
    for one in (*subject.same, *subject.different, *subject.empty):
        given = copy.deepcopy(one)
        assert subject.call(*one) == subject.call(*one)
        assert one == given


def check_refusals_are_clear(subject: Test) -> None:
    for one in subject.refused:
        with pytest.raises(ValueError, match=r"\w+ .*(needs|lie|are|got)"):
            subject.call(*one)


def check_hostile_questions_are_survived(subject: Test) -> None:
    for one in subject.hostile:
        try:
            answer = subject.call(*one)
        except ValueError as error:
            assert len(str(error)) > 20
        else:
            assert 0.0 <= answer <= 1.0


# ---- sums ----
def check_order_and_brackets_do_not_matter(subject: Merged) -> None:
    a, b, c = subject.parts[:3]
    whole = packed(subject.add(subject.add(a, b), c))
    assert packed(subject.add(a, subject.add(b, c))) == whole
    for x, y, z in permutations((a, b, c)):
        assert packed(subject.add(subject.add(x, y), z)) == whole


def check_nothing_adds_nothing(subject: Merged) -> None:
    for part in subject.parts:
        assert packed(subject.add(part, subject.empty)) == packed(part) == packed(subject.add(subject.empty, part))


# ---- what the checks see ----
def snapshot(state: Any) -> bytes:
    """What a changelog would hold."""
    return msgspec.msgpack.encode(state)


def packed(state: Any) -> bytes:
    """Bytes that are equal exactly when states are: the order of a map's keys does not count."""
    return msgspec.msgpack.encode(_ordered(msgspec.to_builtins(state, str_keys=False)))


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _ordered(value[key])) for key in sorted(value)]
    return [_ordered(one) for one in value] if isinstance(value, list | tuple) else value


def without_counter(state: Any) -> Any:
    """The state as plain values, with the counter of skipped inputs at 0."""
    names = getattr(state, "__struct_fields__", ())
    return msgspec.to_builtins(msgspec.structs.replace(state, skipped=0) if "skipped" in names else state)


def all_finite(state: Any) -> bool:
    """Whether every number of a state is finite; infinity is allowed only where nothing is known yet (bounds)."""
    return all(math.isfinite(number) for number in _numbers(msgspec.to_builtins(state)))


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list | tuple):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, int | float):
        yield value


def _states(subject: Detector, inputs: Sequence[Any]) -> Iterator[Any]:
    state = subject.fresh()
    for one in inputs:
        state = subject.update(state, one)
        yield state
