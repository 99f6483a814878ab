from collections.abc import Iterator

import pytest

from tests.e2e.harness.broker import Broker, broker


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    with broker() as found:
        yield found


@pytest.fixture
def real(kafka: Broker) -> Broker:
    if not kafka.real:
        pytest.skip(
            "needs a real broker: LLM_OPTIMIZER_TEST_KAFKA=real (mock keeps 5 MB a partition, no LogAppendTime)"
        )
    return kafka
