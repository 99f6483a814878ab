"""SIGTERM and SIGINT ask a process to leave in order."""

import asyncio
import signal


def on_signals(stop: asyncio.Event) -> None:
    """Set ``stop`` when this process is asked to end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
