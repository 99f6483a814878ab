"""What a process says of its gateway on /metrics, labelled with the gateway's name."""

from collections.abc import Mapping

from app.adapters.gateways.breaker import Breaker
from app.adapters.gateways.desired import COUNTS
from app.adapters.gateways.propagation import Propagation
from app.adapters.process.exposition import Family


def families(gateway: str, lag: Propagation, breaker: Breaker | None) -> list[Family]:
    """Propagation lag and, where there is one, the circuit breaker."""
    propagation = (
        (
            "gateway_propagation_seconds_sum",
            "counter",
            "seconds from first asking to the yes",
            lag.total_s,
        ),
        ("gateway_propagation_seconds_count", "counter", "splits that arrived at the gateway", lag.count),
        ("gateway_propagation_seconds_max", "gauge", "the longest of them, seconds", lag.longest_s),
        ("gateway_propagation_seconds_last", "gauge", "the last of them, seconds", lag.last_s),
        ("gateway_propagation_unmeasured_total", "counter", "splits not measured: too many under way", lag.unmeasured),
    )
    shown = [Family(name, kind, says).add(value, gateway=gateway) for name, kind, says, value in propagation]
    if breaker is not None:
        state = Family("gateway_breaker_open", "gauge", "1 while the gateway is left alone, 0.5 while it is tried")
        shown.append(state.add({"closed": 0.0, "half-open": 0.5, "open": 1.0}[breaker.state], gateway=gateway))
        opened = Family("gateway_breaker_opened_total", "counter", "how often the circuit breaker opened")
        shown.append(opened.add(breaker.counts["breaker_opened"], gateway=gateway))
        turned = Family("gateway_breaker_turned_away_total", "counter", "calls not made while it was open")
        shown.append(turned.add(breaker.counts["breaker_turned_away"], gateway=gateway))
    return shown


def offered(counts: Mapping[str, int]) -> list[Family]:
    """What happened to the desired state this process offers."""
    return [Family(f"desired_{name}_total", "counter", COUNTS[name]).add(counts[name]) for name in COUNTS]
