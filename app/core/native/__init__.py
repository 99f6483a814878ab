"""What the fold adds to and asks for every event, in C where it was compiled (``deploy/native.py``), else in Python.

Both give the same results. ``Layout``, the loop itself, is only there when ``compiled``; else ``app.core.usual`` runs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.core.native._fold import Buckets, Ids, Known, Layout, Marked, Sums

    compiled: bool
else:
    try:
        from app.core.native._fold import Buckets, Ids, Known, Layout, Marked, Sums
    except ImportError:
        from app.core.native.plain import Buckets, Ids, Known, Layout, Marked, Sums
    compiled = Layout.__module__ != "app.core.native.plain"

__all__ = ["Buckets", "Ids", "Known", "Layout", "Marked", "Sums", "compiled"]
