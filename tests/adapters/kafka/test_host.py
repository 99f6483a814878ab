"""When an agent says it is ready."""

from types import SimpleNamespace
from typing import Any

import pytest

from app.adapters.kafka.host import Host

JOINED = SimpleNamespace(_assignment=object(), rebalancing=False)


def ready(app: Any = JOINED, **lane: Any) -> bool:
    standing = {"fence": object(), "waiting": True, "recovered": True, **lane}
    host = SimpleNamespace(app=app, lane=SimpleNamespace(**standing))
    return bool(vars(Host)["ready"].fget(host))


def test_it_is_ready_with_its_engines_under_a_fence_and_recovered():
    assert ready()


def test_lag_is_no_reason_but_what_the_last_owner_did_must_be_read_again():
    assert not ready(recovered=False)


def test_a_standby_without_partitions_is_ready():
    assert ready(fence=None, waiting=False)


@pytest.mark.parametrize(
    ("assignment", "rebalancing", "fence"),
    [(None, False, object()), (object(), True, object()), (object(), False, None)],
)
def test_it_is_not_ready_before_it_joined_while_rebalancing_or_without_engines(
    assignment: object, rebalancing: bool, fence: object
):
    assert not ready(SimpleNamespace(_assignment=assignment, rebalancing=rebalancing), fence=fence)
