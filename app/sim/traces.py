"""Real arrivals: a cut of the Azure LLM inference traces, replayed at a stated rate and looped as long as needed.

What: arrival offsets, context (input) tokens and generated (output) tokens of requests to two production services.
Source: "Azure LLM Inference Dataset 2023", Microsoft, CC-BY 4.0 (Patel et al., Splitwise); see data/ATTRIBUTION.md.
Nothing is drawn here: the same trace, rate and start give the same arrivals.
"""

import csv
import gzip
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

TraceName = Literal["conv", "code"]


class Trace(msgspec.Struct, frozen=True, eq=False):
    """One trace. ``offsets_s`` is ascending and starts at 0; all three arrays have one entry a request."""

    name: str
    offsets_s: NDArray[np.float64]
    input_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets_s)

    @property
    def lap_s(self) -> float:
        """Seconds after which the trace repeats: its length plus one mean gap, so the seam has no double arrival."""
        return float(self.offsets_s[-1]) * len(self) / (len(self) - 1)

    @property
    def rate_per_min(self) -> float:
        """Mean arrivals per minute as recorded."""
        return 60 * len(self) / self.lap_s


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One request as it comes in. ``index`` counts from 0 over all laps; ``time_s`` is epoch seconds."""

    index: int
    time_s: float
    input_tokens: int
    output_tokens: int


@cache
def load(name: TraceName) -> Trace:
    """The shipped cut called ``name``; ValueError for another name."""
    if name not in get_args(TraceName):
        raise ValueError(f"no trace is called {name!r}: choose one of {', '.join(get_args(TraceName))}")
    packed = files("app.sim").joinpath("data", f"azure_{name}.csv.gz").read_bytes()
    rows = list(csv.DictReader(gzip.decompress(packed).decode().splitlines()))
    moments = np.array([row["TIMESTAMP"] for row in rows], dtype="datetime64[ns]").astype(np.int64)
    return Trace(
        name,
        (moments - moments[0]) / 1e9,
        np.array([int(row["ContextTokens"]) for row in rows]),
        np.array([int(row["GeneratedTokens"]) for row in rows]),
    )


def arrivals(trace: Trace, *, start_s: float, rate_per_min: float) -> Iterator[Arrival]:
    """Endless arrivals from ``start_s`` on, in time order, ``rate_per_min`` on average; gaps keep their proportions."""
    if not rate_per_min > 0:
        raise ValueError(f"rate_per_min must be above 0, not {rate_per_min}")
    stretch = trace.rate_per_min / rate_per_min
    offsets = (trace.offsets_s * stretch).tolist()
    tokens = list(zip(trace.input_tokens.tolist(), trace.output_tokens.tolist(), strict=True))
    lap_start, index = start_s, 0
    while True:
        for offset, (input_tokens, output_tokens) in zip(offsets, tokens, strict=True):
            yield Arrival(index, lap_start + offset, input_tokens, output_tokens)
            index += 1
        lap_start += trace.lap_s * stretch
