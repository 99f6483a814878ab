"""Wait for the broker at start, with back-off and a bound (rule L9)."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class NoBrokerError(RuntimeError):
    """No broker answered in time."""


async def wait_for_broker(connection: Mapping[str, Any], within_s: float) -> None:
    """Return when a broker answers a metadata request; ``NoBrokerError`` when none does ``within_s``."""
    deadline = time.monotonic() + within_s
    pause_s = FIRST_PAUSE_S
    while True:
        client = AIOKafkaClient(**connection)
        try:
            await client.bootstrap()
            return
        except KafkaError as error:
            if time.monotonic() + pause_s > deadline:
                address = connection.get("bootstrap_servers")
                raise NoBrokerError(
                    f"no broker at {address} within {within_s:g} s ({error}): start it, or set kafka.bootstrap_servers"
                ) from error
            log.warning("no broker yet (%s), trying again in %.1f s", error, pause_s)
        finally:
            await client.close()
        await asyncio.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
