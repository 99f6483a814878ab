import itertools

import numpy as np
import pytest

from app.sim import traces


@pytest.mark.parametrize(("name", "requests", "rate"), [("conv", 8_000, 311), ("code", 4_000, 176)])
def test_the_shipped_cut_is_whole_and_in_order(name, requests, rate):
    trace = traces.load(name)
    assert len(trace) == requests
    assert trace.offsets_s[0] == 0
    assert np.all(np.diff(trace.offsets_s) >= 0)
    assert trace.input_tokens.min() > 0
    assert trace.output_tokens.min() > 0
    assert trace.rate_per_min == pytest.approx(rate, rel=0.05)


def test_an_unknown_trace_names_the_ones_there_are():
    with pytest.raises(ValueError, match="conv, code"):
        traces.load("chat")


def test_the_mean_rate_is_the_one_asked_for_over_many_laps():
    trace = traces.load("code")
    many = list(itertools.islice(traces.arrivals(trace, start_s=1_000.0, rate_per_min=600), 3 * len(trace) + 1))
    minutes = (many[-1].time_s - many[0].time_s) / 60
    assert (len(many) - 1) / minutes == pytest.approx(600, rel=1e-9)


def test_arrivals_start_on_time_stay_in_order_and_repeat_the_trace_in_every_lap():
    trace = traces.load("conv")
    many = list(itertools.islice(traces.arrivals(trace, start_s=50.0, rate_per_min=100), 2 * len(trace)))
    assert many[0].time_s == 50.0
    assert [a.index for a in many[:3]] == [0, 1, 2]
    assert all(a.time_s <= b.time_s for a, b in itertools.pairwise(many))
    lap = len(trace)
    assert [(a.input_tokens, a.output_tokens) for a in many[:lap]] == [
        (a.input_tokens, a.output_tokens) for a in many[lap:]
    ]


def test_a_rate_of_nothing_is_refused():
    with pytest.raises(ValueError, match="rate_per_min"):
        next(traces.arrivals(traces.load("conv"), start_s=0, rate_per_min=0))
