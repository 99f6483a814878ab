"""What a process says of its gateway on /metrics, labelled with the gateway's name."""

from collections.abc import Mapping

from app.adapters.gateways.breaker import Breaker
from app.adapters.gateways.desired import COUNTS
from app.adapters.gateways.propagation import Propagation
from app.adapters.telemetry import catalogue as of
from app.adapters.telemetry.metric import Reading, read


def readings(gateway: str, lag: Propagation, breaker: Breaker | None) -> list[Reading]:
    """Propagation lag and, where there is one, the circuit breaker."""
    shown = [
        read(of.PROPAGATION_SECONDS, lag.total_s, gateway=gateway),
        read(of.PROPAGATIONS, lag.count, gateway=gateway),
        read(of.PROPAGATION_LONGEST, lag.longest_s, gateway=gateway),
        read(of.PROPAGATION_LAST, lag.last_s, gateway=gateway),
        read(of.PROPAGATION_UNMEASURED, lag.unmeasured, gateway=gateway),
    ]
    if breaker is not None:
        state = {"closed": 0.0, "half-open": 0.5, "open": 1.0}[breaker.state]
        shown += [
            read(of.BREAKER_OPEN, state, gateway=gateway),
            read(of.BREAKER_OPENED, breaker.counts["breaker_opened"], gateway=gateway),
            read(of.BREAKER_TURNED_AWAY, breaker.counts["breaker_turned_away"], gateway=gateway),
        ]
    return shown


def offered(counts: Mapping[str, int]) -> list[Reading]:
    """What happened to the desired state this process offers."""
    return [read(of.DESIRED[name], counts[name], agent="actuate") for name in COUNTS]
