"""Decisions in plain words: the one sentence of ``rationale`` and the page of ``llm-optimizer explain``."""

from app.core.explain.page import realised, render
from app.core.explain.sentence import rationale

__all__ = ["rationale", "realised", "render"]
