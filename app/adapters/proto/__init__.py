"""Python stubs of ``schemas/proto``, made by ``deploy/protos.py``: change the protos, then run ``make protos``."""
