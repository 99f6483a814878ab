"""Which requests of Kafka's protocol a broker knows: the only thing it tells of its version."""

import asyncio
from collections.abc import Mapping

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from app.adapters.kafka.connection import aiokafka_connection
from app.settings import Kafka


def requests_known(kafka: Kafka, within_s: float) -> Mapping[int, tuple[int, int]]:
    """Key of each request -> its lowest and highest version. Blocking; empty when the broker does not say in time."""
    return asyncio.run(_requests_known(kafka, within_s))


async def _requests_known(kafka: Kafka, within_s: float) -> Mapping[int, tuple[int, int]]:
    client = AIOKafkaClient(**aiokafka_connection(kafka))
    try:
        await asyncio.wait_for(client.bootstrap(), within_s)
        connection = await client._get_conn(client.get_random_node())
        return connection._versions if connection is not None else {}
    except (KafkaError, TimeoutError):
        return {}
    finally:
        await client.close()
