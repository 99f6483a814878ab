"""What the brain says, in the order it was decided. Ids are deterministic, so a re-emission is byte-identical."""

from typing import Literal

import msgspec

OutputRole = Literal["splits", "optimizations", "aggregates", "aggregates_hourly", "anomalies"]

AGGREGATE = "io.llm-platform.optimizer.aggregate"
FINDING = "io.llm-platform.optimizer.finding"
SAVINGS = "io.llm-platform.optimizer.savings"
SPLIT = "io.llm-platform.optimizer.split"
PROPOSED = "io.llm-platform.optimization.proposed"
DECIDED = "io.llm-platform.optimization.decided"
REFUSED = "io.llm-platform.optimization.refused"
ACCEPTED = "io.llm-platform.optimization.rollout-accepted"
VERIFIED = "io.llm-platform.optimization.rollout-verified"
FAILED = "io.llm-platform.optimization.rollout-failed"
COMPLETED = "io.llm-platform.optimization.completed"
ROLLED_BACK = "io.llm-platform.optimization.rolled-back"
EXPERIMENT_STARTED = "io.llm-platform.experiment.started"
EXPERIMENT_COMPLETED = "io.llm-platform.experiment.completed"


class Output(msgspec.Struct, frozen=True):
    """One CloudEvent to write: ``data`` is JSON bytes, ``time_s`` the event time (epoch seconds) it was decided at."""

    role: OutputRole
    type: str
    id: str
    service: str
    time_s: int
    data: bytes
