"""Client of the LLM Auto-Optimizer: events in, models out. Start at ``Client`` and ``wrap``; README.md has examples."""

from llm_optimizer_client.client import Client, NotConfiguredError, QueueFullError, default_client
from llm_optimizer_client.counts import Counts
from llm_optimizer_client.events import InvalidEventError, Record
from llm_optimizer_client.receipts import Receipt, receipt_of
from llm_optimizer_client.scope import Scope, session
from llm_optimizer_client.selection import NoModelError, Selection
from llm_optimizer_client.transport import MemoryTransport, Rejection, Sent, Transport
from llm_optimizer_client.wrap import request_id_of, wrap

__version__ = "0.1.0"
__all__ = [
    "Client",
    "Counts",
    "InvalidEventError",
    "MemoryTransport",
    "NoModelError",
    "NotConfiguredError",
    "QueueFullError",
    "Receipt",
    "Record",
    "Rejection",
    "Scope",
    "Selection",
    "Sent",
    "Transport",
    "default_client",
    "receipt_of",
    "request_id_of",
    "session",
    "wrap",
]
