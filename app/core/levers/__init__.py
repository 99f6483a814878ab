"""Levers propose arms. They decide nothing: one machinery tries, judges and admits what any of them proposes."""
