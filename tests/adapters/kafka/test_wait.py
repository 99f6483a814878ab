import socket

import pytest

from app.adapters.kafka.wait import NoBrokerError, wait_for_broker


async def test_a_broker_that_never_answers_is_named_with_what_to_do():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(NoBrokerError, match=rf"{address}.*kafka.bootstrap_servers"):
            await wait_for_broker({"bootstrap_servers": address}, 0.1)
