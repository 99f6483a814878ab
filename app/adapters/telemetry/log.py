"""Logs on standard error: for people on a terminal, one JSON object a line elsewhere.

Modules log with ``structlog.get_logger()`` or the standard library's ``logging``: both end in the same handler.
"""

import logging
import os
import sys
from typing import Any, TextIO

import msgspec
import stamina.instrumentation
import structlog
from structlog.typing import Processor

from app.adapters.kafka.quiet import quiet_libraries
from app.settings import Log

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.StackInfoRenderer(),
)


def configure_logging(log: Log, stream: TextIO | None = None) -> None:
    """Send all logs of this process to ``stream`` (standard error), from ``log.level`` up. Called again, it replaces
    the earlier configuration. The Kafka client is kept at WARNING and at a bounded rate.
    """
    target = sys.stderr if stream is None else stream
    human = log.format == "human" or (log.format == "auto" and target.isatty())
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, _time(human=human)],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(target, human=human)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log.level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            _time(human=human),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    stamina.instrumentation.set_on_retry_hooks([])  # who retries says so once, not once an attempt
    quiet_libraries()


def _time(*, human: bool) -> Processor:
    return structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human)


def _renderers(target: TextIO, *, human: bool) -> list[Processor]:
    """Tracebacks are plain: the richer ones print local variables, and with them secrets."""
    if not human:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    colours = target.isatty() and "NO_COLOR" not in os.environ
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=0, pad_level=False, exception_formatter=plain)]


def _json(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()
