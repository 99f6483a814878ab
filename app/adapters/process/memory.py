"""Freed memory is kept for the next fetch: a fetch is megabytes, and pages taken anew cost more than reading it does.

glibc gives every megabyte that is freed back to the kernel and asks for it again a moment later; each page of it is
then cleared and mapped anew. Other C libraries keep their own rules.
"""

import ctypes
import os

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 32 << 20
"""Free memory at the end of an arena that is kept, and the size from which memory is mapped by itself: some fetches."""


def keep_freed(kept_bytes: int = KEPT_BYTES) -> bool:
    """Keep up to ``kept_bytes`` of freed memory in each arena; False: this C library knows no such setting, or the
    environment has one (``MALLOC_TRIM_THRESHOLD_``), which goes first.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return False
    return all(mallopt(what, kept_bytes) for what in (TRIM_THRESHOLD, MMAP_THRESHOLD))
