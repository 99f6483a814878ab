"""Chaos: real workers on a real broker while things go wrong, and a count from outside of what came of it.

``make chaos`` runs it (``tests/chaos/__main__.py``); docs/evidence/chaos.md is what a run wrote.
"""
