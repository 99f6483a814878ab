"""CloudEvents in and out: bytes to ``app.core.events.Event`` and outputs to records."""

from app.adapters.codec.decode import make_decode

__all__ = ["make_decode"]
