"""Strategy ``threshold_based``: what a finding of a severity asks for (requirements/004, response actions).

    critical  about the arm on trial, or all arms   the trial is rolled back
              about the incumbent                   the backup arm answers at once; without one, as high
    high      about the incumbent, or all arms      a better arm in what is wrong is looked for now
    warning   about the incumbent                   its parameters are adjusted, at the next look
    info                                            nothing but the record

Rules hold under every strategy; under ``threshold_based`` nothing else begins a trial.
"""

from typing import Literal

from app.core.levers.lever import Need

Response = Literal["roll-back", "route-to-backup", "optimize", "adjust", "log"]

_NEEDS: tuple[tuple[str, Need], ...] = (
    ("latency", "latency"),
    ("ttft", "latency"),
    ("tokens_per_s", "latency"),
    ("slo_latency", "latency"),
    ("cost", "cost"),
    ("price", "cost"),
    ("spend", "cost"),
    ("budget", "cost"),
    ("output_tokens", "cost"),
    ("input_tokens", "cost"),
    ("quality", "quality"),
    ("error", "errors"),
    ("slo_availability", "errors"),
)
"""What a metric's name begins with, and what it asks for."""


_SPOKEN: tuple[tuple[str, Need], ...] = (
    ("latency", "latency"),
    ("duration", "latency"),
    ("performance", "latency"),
    ("cost", "cost"),
    ("budget", "cost"),
    ("spend", "cost"),
    ("quality", "quality"),
    ("error", "errors"),
    ("failure", "errors"),
)


def need_of(metric: str) -> Need:
    """What a finding about ``metric`` asks for; "" when no arm can help (traffic, waste, drift)."""
    return next((need for start, need in _NEEDS if metric.startswith(start)), "")


def need_in(words: str) -> Need:
    """What somebody else's words for a problem ask for: ``latency_anomaly``, ``cost_overrun``, ``budget``..."""
    lower = words.lower()
    return next((need for start, need in _SPOKEN if start in lower), "")


def response(severity: str, *, trial: bool, incumbent: bool, backup: bool) -> Response:
    """What to do about a finding of ``severity`` that concerns the open ``trial``, the ``incumbent``, or both.

    ``backup``: there is an arm that could take over at once. External alerts may say ``medium`` and ``low``.
    """
    if severity in ("critical", "blocking"):
        if trial:
            return "roll-back"
        return "route-to-backup" if incumbent and backup else "optimize" if incumbent else "log"
    if severity in ("high", "error") and incumbent:
        return "optimize"
    if severity in ("warning", "medium") and incumbent:
        return "adjust"
    return "log"
