"""What every process of a worker does first: wait for the broker, look whether the topics are as they must be."""

import asyncio
import logging

from app.adapters.kafka.admin import AdminError, KafkaAdmin, check, refusal
from app.adapters.kafka.connection import aiokafka_connection
from app.adapters.kafka.options import EXIT_BROKER, EXIT_TOPICS
from app.adapters.kafka.wait import NoBrokerError, wait_for_broker
from app.settings import Settings
from app.topics import Existing, declared

log = logging.getLogger(__name__)


async def topics_of(settings: Settings) -> dict[str, Existing] | int:
    """The topics that exist, once a broker answers and none is missing or wrong; else the exit code."""
    try:
        await wait_for_broker(aiokafka_connection(settings.kafka), settings.kafka.broker_wait_s)
        return await asyncio.to_thread(_topics, settings)
    except NoBrokerError as error:
        log.critical("%s", error)
        return EXIT_BROKER
    except (AdminError, WrongTopicsError) as error:
        log.critical("%s", error)
        return EXIT_TOPICS


class WrongTopicsError(RuntimeError):
    """Topics are missing or wrong; the message says which and how to mend them."""


def _topics(settings: Settings) -> dict[str, Existing]:
    admin = KafkaAdmin(settings)
    wrong = check(settings, admin)
    if wrong:
        raise WrongTopicsError(f"the topics are not as they must be:\n{refusal(wrong)}")
    return admin.describe([topic.name for topic in declared(settings.topics)])
