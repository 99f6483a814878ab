"""Client of the LLM Auto-Optimizer: events in, models out. Start at ``Client``."""

from llm_optimizer_client.client import Client, NotConfiguredError, QueueFullError, default_client
from llm_optimizer_client.counts import Counts
from llm_optimizer_client.events import InvalidEventError, Record
from llm_optimizer_client.receipts import Receipt, receipt_of
from llm_optimizer_client.selection import NoModelError, Selection
from llm_optimizer_client.transport import MemoryTransport, Rejection, Sent, Transport

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
    "Selection",
    "Sent",
    "Transport",
    "default_client",
    "receipt_of",
]
