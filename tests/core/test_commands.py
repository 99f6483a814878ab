"""Commands: every one of them is read and written, and a wrong one says what is allowed."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.commands import (
    VERBS,
    About,
    Command,
    CommandError,
    Configure,
    Freeze,
    Nothing,
    SetMode,
    parse,
    to_json,
)

DOCUMENT = {"service": "chat", "arms": [{"name": "a"}, {"name": "b"}]}
ANSWER = {"decision_id": "d", "approved": False, "violations": [{"policy_id": "gdpr", "description": "EU only"}]}
ARGS: dict[str, dict[str, Any]] = {
    "configure": {"document": DOCUMENT}, "set-mode": {"mode": "auto"}, "policy-answer": ANSWER,
    "experiment.start": {"arms": ["b"]}, "share-budget": {"share": 0.4, "group": "apps"},
}  # fmt: skip


def wire(command: str, **fields: Any) -> bytes:
    return msgspec.json.encode({"service": "chat", "command": command, "args": ARGS.get(command, {}), **fields})


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_is_read_and_written_back_the_same(verb: str) -> None:
    command = parse(wire(verb, actor="ada", reason="why not"))
    assert (command.service, command.command, command.actor, command.reason) == ("chat", verb, "ada", "why not")
    assert parse(to_json(command)) == command


def test_configure_carries_a_checked_document() -> None:
    command = parse(wire("configure"))
    assert isinstance(command.args, Configure)
    assert command.args.document.incumbent == "a"


@pytest.mark.parametrize(
    ("command", "args", "typed"),
    [
        ("freeze", {}, Freeze(hold=False)),
        ("freeze", {"hold": True}, Freeze(hold=True)),
        ("set-mode", {"mode": "observe"}, SetMode("observe")),
        ("abort", {}, About("")),
        ("promote", {"decision_id": "d1"}, About("d1")),
        ("pause", {}, Nothing()),
    ],
)
def test_arguments_are_typed(command: str, args: dict[str, Any], typed: msgspec.Struct) -> None:
    assert parse(wire(command, args=args)).args == typed


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a command"),
        (b"[]", "not a command"),
        (b"[" * 100_000, "not a command"),
        (b'{"service": "chat"}', "`command`"),
        (b'{"service": "", "command": "pause"}', r"\$.service"),
        (wire("pause", reson="typo"), "unknown field `reson`"),
        (wire("puase"), "did you mean 'pause'"),
        (wire("explode"), "allowed: configure, optimize-now"),
        (wire("set-mode", args={}), "missing required field `mode`"),
        (wire("set-mode", args={"mode": "live"}), "Invalid enum value 'live'"),
        (wire("freeze", args={"hold": "yes"}), "Expected `bool`"),
        (wire("pause", args={"hold": True}), "allowed keys: none"),
        (wire("approve", args={"id": "x"}), "allowed keys: decision_id"),
        (wire("configure", args={}), '{"document": {...}}'),
        (wire("configure", args={"document": 3}), "a service document is a table"),
        (wire("configure", args={"document": {**DOCUMENT, "mode": "live"}}), 'allowed: one of "approve"'),
        (wire("configure", service="search"), "they must be equal"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(data: bytes, says: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse(data)
    assert says.replace("\\", "") in str(caught.value)


@pytest.mark.parametrize("verb", VERBS)
def test_only_safe_commands_may_be_sent_to_all_services(verb: str) -> None:
    if verb in ("configure", "approve", "reject", "promote", "policy-answer", "share-budget") or verb.startswith(
        "experiment."
    ):
        with pytest.raises(CommandError, match="name one service"):
            parse(wire(verb, service="*"))
    else:
        assert parse(wire(verb, service="*")).service == "*"


def test_the_same_command_has_the_same_bytes() -> None:
    one = Command(service="chat", command="freeze", args=Freeze(hold=True), actor="ada")
    assert to_json(one) == to_json(Command(service="chat", command="freeze", args=Freeze(hold=True), actor="ada"))
    assert to_json(one).startswith(b'{"actor":')


@given(st.binary(max_size=80))
def test_whatever_the_bytes_only_a_command_error_comes_out(data: bytes) -> None:
    try:
        parse(data)
    except CommandError as error:
        assert str(error)
