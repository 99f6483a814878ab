"""What the page is shown: three services out of the real core, one of them with names that would break a careless page.

chat    a trial is open            ask     a proposal waits for a person            HOSTILE   chat again, badly named
"""

from functools import cache

import msgspec
from confluent_kafka import Producer

from app.adapters.codec.encode import encode_event, encode_output
from app.adapters.kafka.security import librdkafka
from app.core import commands
from app.core.commands import COMMAND, Command, Configure
from app.core.document import ServiceDocument, from_object
from app.core.outputs import Output
from app.settings import Settings
from tests.core.loop import Arm, Loop

HOSTILE = "<img src=x onerror=\"document.title='hacked'\">/?#&"
HOSTILE_ARM = "\"'></svg><script>document.title='hacked'</script>"


def document(service: str, mode: str) -> ServiceDocument:
    arms = [{"name": "big", "model": "gpt-big"}, {"name": "small", "model": "gpt-small"}]
    plan = {"steps": [50, 100]}
    return from_object(
        {
            "service": service, "mode": mode, "holdout_share": 0.1, "sticky": False, "arms": arms, "trial": plan,
            "budget": {"day_usd": 50.0},
        }
    )  # fmt: skip


@cache
def life(mode: str) -> tuple[Output, ...]:
    """Some minutes of ``chat``, until a trial is open (auto) or proposed (approve), and ten more."""
    loop = Loop({"big": Arm(), "small": Arm(cost=0.001)}, requests=30)
    loop.configure(document("chat", mode))
    loop.run(40, until=lambda l: any(b"open-trial" in output.data for output in l.outputs))
    loop.run(10)
    return tuple(output for output in loop.outputs if output.service == "chat")  # another one moves the clock


def named(output: Output, service: str, arm: str = "small") -> Output:
    """``output`` as another service would have had it, with another name of its second arm."""
    data = output.data.replace(b'"chat"', msgspec.json.encode(service)).replace(b'"small"', msgspec.json.encode(arm))
    return msgspec.structs.replace(output, service=service, id=f"{output.id}-{len(service)}{service[0]}", data=data)


def tell(settings: Settings) -> None:
    """Put all of it on the topics."""
    producer = Producer(librdkafka(settings.kafka))
    told = [
        *life("auto"),
        *(named(output, "ask") for output in life("approve")),
        *(named(output, HOSTILE, HOSTILE_ARM) for output in life("auto")),
    ]
    for output in told:
        record = encode_output(output)
        topic = getattr(settings.topics, output.role)
        producer.produce(topic, key=output.service.encode(), value=record.value, headers=list(record.headers))
    for service, mode in (("chat", "auto"), ("ask", "approve")):
        order = Command(service=service, command="configure", args=Configure(document(service, mode)), actor="ana")
        event = encode_event(
            COMMAND, "/test", f"order-{service}", service, commands.to_json(order), "2023-11-14T22:14:00Z"
        )
        producer.produce(settings.topics.commands, key=service.encode(), value=event.value, headers=list(event.headers))
    assert producer.flush(20) == 0


def decide_again(settings: Settings, number: int) -> str:
    """One more decision of ``chat``; returns its sentence."""
    old = next(output for output in life("auto") if b"open-trial" in output.data and output.role == "optimizations")
    said = f"Said for the {number}th time, for the test."
    data = msgspec.json.decode(old.data)
    data |= {"rationale": said, "decision_id": f"again-{number}", "version": 100 + number, "action": "hold"}
    record = encode_output(msgspec.structs.replace(old, id=f"again-{number}", data=msgspec.json.encode(data)))
    producer = Producer(librdkafka(settings.kafka))
    producer.produce(settings.topics.optimizations, key=b"chat", value=record.value, headers=list(record.headers))
    assert producer.flush(20) == 0
    return said
