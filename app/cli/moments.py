"""Times as people write them on a command line."""

import click


def since_s(text: str, now_s: float) -> float:
    """Epoch seconds of ``2026-01-31T12:00:00Z``, or of ``90s``, ``15m``, ``24h``, ``7d`` before ``now_s``.

    Raises ``click.BadParameter``.
    """
    from app.core.events import epoch_s

    units = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
    if text[-1:] in units and text[:-1].isdigit():
        return now_s - int(text[:-1]) * units[text[-1]]
    try:
        return epoch_s(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write 2026-01-31T12:00:00Z or 24h", param_hint="--since") from error
