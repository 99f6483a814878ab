"""What chaos is about, item by item, and which scenario shows it. A test keeps the two lists true."""

from collections.abc import Mapping
from types import MappingProxyType

TRAFFIC: Mapping[str, str] = MappingProxyType(
    {
        "several topics": "several evidence topics with different partition counts (7, 3; commands 2, facts 4)",
        "duplicates": "producer duplicates",
        "disorder": "disorder within the lateness",
        "late": "late events, and clocks an hour to decades behind",
        "garbage": "garbage, and values out of bounds",
        "future": "clocks ahead, by an hour to centuries",
        "negative": "times before 1970, and times that are none",
        "idle": "partitions that never get anything, or go quiet",
        "hot keys": "hot keys (40 % of the requests on one service; the first partition gets most)",
        "commands": "duplicated commands (40 % are produced again)",
        "transactions": "records in transactions, of which 30 % are rolled back (not on the mock cluster)",
        "compression": "record batches uncompressed, gzip, snappy, lz4, zstd (two of these by seed)",
        "overload": "sources three times as fast as the worker",
        "flood": "one producer far over its quota",
    }
)
FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "kill one": "kill -9 of one agent, or of one worker",
        "kill all": "kill -9 of all processes of all workers",
        "sigterm": "SIGTERM",
        "zombie": "SIGSTOP for longer than the session, and on as if nothing had happened",
        "hiccup": "SIGSTOP for less than the session",
        "broker killed": "broker kill -9 and restart (short: 1-6 s; long: 5, 15, 75 s)",
        "broker paused": "broker stopped (8 s; long: 8, 70 s)",
        "leader killed": "three nodes: the leader of a partition of evidence or facts killed, another takes over",
        "leader stopped": "three nodes: a leader stopped until another has taken over, and on as if it still led",
        "coordinator": "three nodes: the coordinator of a consumer group killed",
        "leaders moved": "three nodes: every partition moved back to its first leader",
        "outage": "all workers gone for longer than a source may be silent",
        "folder": "state folder that cannot be made, full disk (exit 78, a clear word, nothing lost)",
        "rubbish": "rubbish in the state folder (there is no local store to be corrupt: rows come from the changelog)",
        "compaction": "aggressive compaction of the changelogs",
        "retention": "committed offset behind retention (alarm and exit, then accepted and counted)",
        "growth": "partitions added to a topic while it is used",
        "rolling": "rolling restart, as for an upgrade",
        "scaling": "scaling 1 -> 3 -> 2",
        "stopped": "one partition without a leader (closes wait, alarm, complete=false; long: 5 minutes)",
        "clock": "one worker's clock 65 minutes ahead, until it owns everything",
        "mock": "kills on the mock cluster",
        "recovery": "kill -9 of everything under live load, time until caught up",
    }
)
EVERY = (
    "several topics",
    "duplicates",
    "disorder",
    "garbage",
    "negative",
    "idle",
    "hot keys",
    "commands",
    "compression",
)
"""What every stream of every scenario has in it."""
