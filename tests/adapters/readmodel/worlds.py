"""What the public topics hold after a service has lived for a while, as a reader meets it; made by the real core."""

from collections.abc import Iterable
from functools import cache

from app.adapters.codec.encode import encode_event, encode_output
from app.adapters.kafka.subscriber import Seen
from app.adapters.readmodel.feed import roles_of
from app.core import commands
from app.core.commands import COMMAND, Command, Configure
from app.core.document import ServiceDocument, from_object
from app.core.outputs import Output
from app.settings import Topics
from tests.core.loop import START_S, Arm, Loop

TOPICS = Topics()
ROLES = roles_of(TOPICS)
ABOUT = {"cluster": "one"}


def document(service: str = "chat") -> ServiceDocument:
    return from_object(
        {
            "service": service,
            "mode": "auto",
            "holdout_share": 0.1,
            "sticky": False,
            "arms": [{"name": "big", "model": "gpt-big"}, {"name": "small", "model": "gpt-small"}],
            "trial": {"steps": [50, 100]},
        }
    )


@cache
def outputs() -> tuple[Output, ...]:
    """An hour and some minutes of ``chat``: a trial is opened, then aborted by hand."""
    loop = Loop({"big": Arm(), "small": Arm(cost=0.001)}, requests=30)
    loop.configure(document())
    loop.run(40, until=lambda l: l.split is not None and l.split.trial is not None)
    loop.run(10)
    loop.order("abort", commands.About())
    loop.run(65 - loop.minute)
    return tuple(loop.outputs)


def seen(role: str, offset: int, value: bytes, headers: tuple[tuple[str, bytes], ...], append_ms: int = 0) -> Seen:
    said = {name: text.decode() for name, text in headers}
    id_, type_, time = (said.get(f"ce_{name}", "") for name in ("id", "type", "time"))
    append_ms = append_ms or 1000 * START_S + offset
    return Seen(getattr(TOPICS, role), 0, offset, append_ms, "chat", type_, id_, time, headers, value)


def records(given: Iterable[Output] | None = None) -> list[Seen]:
    """``given`` outputs (those of the world) as records, each topic with offsets of its own, after the commands."""
    order = Command(service="chat", command="configure", args=Configure(document()), actor="ana", reason="a start")
    pause = Command(service="*", command="pause", args=commands.Nothing(), actor="bo")
    found = [command_record(order, 0), command_record(pause, 1)]
    offsets: dict[str, int] = {}
    for output in outputs() if given is None else given:
        record = encode_output(output)
        offset = offsets.get(output.role, 0)
        offsets[output.role] = offset + 1
        found.append(seen(output.role, offset, record.value or b"", record.headers, 1000 * output.time_s + offset))
    return found


def dead_letter(offset: int, reason: str = "not_json") -> Seen:
    why = (("reason", reason.encode()), ("error", b"no"), ("source_topic", b"llm.responses"))
    return seen("dead_letters", offset, b"\xff", why)


def command_record(command: Command, offset: int) -> Seen:
    message = encode_event(
        COMMAND, "/test", f"order-{offset}", command.service, commands.to_json(command), "2023-11-14T22:14:00Z"
    )
    return seen("commands", offset, message.value, message.headers)
