"""What `doctor` asks the broker: whether it answers, what it is, whether its topics are right, and what time it has."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from app.cli.finding import Finding

if TYPE_CHECKING:
    from app.adapters.kafka.admin import TopicAdmin
    from app.adapters.kafka.subscriber import Seen
    from app.settings import Settings

WITHIN_S = 5.0
LISTEN_S = 2.0
SKEW_S = 5.0
"""More than this between two clocks is said; records take far less from the broker to here."""
KNOWN_SINCE = ((75, "3.8"), (71, "3.7"), (65, "3.0"), (60, "2.8"), (48, "2.6"), (45, "2.4"), (44, "2.3"))
"""Requests of Kafka's protocol by the version that brought them. 44: IncrementalAlterConfigs, which we need."""
FETCH, NEEDED = 1, 44


def broker(settings: "Settings", command: str) -> Iterator[Finding]:
    """All of it; one finding when there is no answer. ``command`` mends the topics."""
    from app.adapters.kafka.admin import AdminError, KafkaAdmin
    from app.adapters.kafka.protocol import requests_known

    try:
        admin = KafkaAdmin(settings, WITHIN_S)
        yield from topics_of(settings, admin, command)
        mock = admin.is_mock()
    except AdminError as error:
        yield Finding("kafka", "broken", f"no answer from {settings.kafka.bootstrap_servers}", str(error))
        return
    if mock:
        yield Finding("clock", "ok", "the mock cluster has no clock of its own")
        return
    yield version_of(requests_known(settings.kafka, WITHIN_S))
    yield clock(settings)


def topics_of(settings: "Settings", admin: "TopicAdmin", command: str) -> Iterator[Finding]:
    """Whether the topics are as a worker needs them."""
    from app.adapters.kafka.admin import check, refusal

    kind = "mock cluster" if admin.is_mock() else "broker"
    wrong = check(settings, admin)
    yield Finding("kafka", "ok", f"the {kind} at {settings.kafka.bootstrap_servers} answers")
    if wrong:
        yield Finding("topics", "broken", f"{len(wrong)} missing or wrong", refusal(wrong, command))
    else:
        yield Finding("topics", "ok", "as declared")


def version_of(requests: Mapping[int, tuple[int, int]]) -> Finding:
    """The version, as far as the requests it knows tell it."""
    if not requests:
        return Finding("kafka version", "ok", "the broker does not say")
    if NEEDED not in requests:
        return Finding("kafka version", "broken", "older than 2.3", "use Kafka 2.3 or newer; 3.x and 4.x are tested")
    since = next(version for request, version in KNOWN_SINCE if request in requests)
    if requests.get(FETCH, (0, 0))[0] >= 4:  # the oldest versions of requests went with 4.0
        since = "4.0"
    return Finding("kafka version", "ok", f"{since} or newer, by the requests it knows")


def clock(settings: "Settings") -> Finding:
    """How this machine's clock stands to the broker's, from the append times of the newest records."""
    from app.adapters.kafka.security import librdkafka
    from app.adapters.kafka.subscriber import SubscribeError, Subscriber

    topics = [settings.topics.facts, settings.topics.responses]
    try:
        with Subscriber(librdkafka(settings.kafka), topics, tail=1) as reader:
            old = list(reader.until_now(timeout_s=WITHIN_S))
            new: list[Seen] = []
            give_up_s = time.monotonic() + LISTEN_S
            while not new and time.monotonic() < give_up_s:
                new = reader.poll(timeout_s=0.2)
            now_s = time.time()
    except SubscribeError as error:
        return Finding("clock", "warning", "could not be compared with the broker's", str(error))
    return skew(max((seen.append_ms for seen in old), default=0), [seen.append_ms for seen in new], now_s)


def skew(newest_ms: int, just_now_ms: list[int], now_s: float) -> Finding:
    """``newest_ms``: append time of the newest old record; ``just_now_ms``: of those that came a moment ago."""
    mend = "set the clocks of this machine and of the brokers by NTP: `--since` and what is behind are wrong meanwhile"
    ahead_s = max([newest_ms, *just_now_ms]) / 1000 - now_s
    if ahead_s > SKEW_S:
        return Finding("clock", "warning", f"the broker's clock is at least {ahead_s:.0f} s ahead of this one", mend)
    if just_now_ms and ahead_s < -SKEW_S:
        return Finding("clock", "warning", f"the broker's clock is {-ahead_s:.0f} s behind this one", mend)
    if just_now_ms:
        return Finding("clock", "ok", f"within {SKEW_S:g} s of the broker's")
    return Finding("clock", "ok", "not ahead of us; nothing came in 2 s by which to tell whether it is behind")
