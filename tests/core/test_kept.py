"""What is kept of a service downstream of its row: the same again, and inside its bound."""

import msgspec

from app.core.analyze.finding import Signal
from app.core.analyze.incidents import MAX_OPEN, Incident, Incidents
from app.core.document import Arm, Segments, ServiceDocument, completed
from app.core.kept import KeptWindows, decode_windows, encode_windows
from tests.core.analyze.panes import Behaviour, Service

BOUND = 128_000


def test_ten_arms_in_five_segments_fit_into_128_kb() -> None:
    arms = [f"provider-{i}/model-name-{i}" for i in range(10)]
    segments = Segments(by="tenant", values=tuple(f"segment-{i}" for i in range(4)))
    behaviour = Behaviour(n=30, scored=20, sd=0.1, ttft=200.0)
    service = Service(
        {(arm, segment): behaviour for arm in arms for segment in (*segments.values, "other")},
        completed(ServiceDocument(service="chat", arms=tuple(Arm(name=a) for a in arms), segments=segments)),
    )
    service.run(14, every=4)
    service.analysis = full_rings(service.analysis)  # as long as they get, without two hours of panes
    service.analysis = msgspec.structs.replace(
        service.analysis, incidents=Incidents(tuple(map(incident, range(MAX_OPEN))))
    )
    kept = encode_windows(KeptWindows(1 << 40, service.windows, service.analysis))
    assert 80_000 < len(kept) < BOUND
    assert len(service.analysis.watched) == 60


def full_rings(analysis):
    def grown(value):
        if isinstance(value, msgspec.Struct):
            fields = {f: grown(getattr(value, f)) for f in value.__struct_fields__}
            if "packed" in fields and 0 < len(fields["packed"]) <= 256 and len(fields["packed"]) % 2 == 0:
                fields["packed"] = (fields["packed"] * 128)[:256]
            return msgspec.structs.replace(value, **fields)
        if isinstance(value, dict):
            return {k: grown(v) for k, v in value.items()}
        return tuple(map(grown, value)) if isinstance(value, tuple) else value

    return grown(analysis)


def incident(i: int) -> Incident:
    keys = tuple(f"latency|rule-{j}|provider-{i}/model-name-{i}|*" for j in range(4))
    signal = Signal(
        key=keys[0], arm=f"provider-{i}/model-name-{i}", segment="*", analyzer="performance", family="latency",
        kind="latency-rise", metric="latency_ms", severity="high", value=1.5, compared_with=1.0, threshold=1.0,
        detail="Latency of provider-0/model-name-0 rose to 1,530 ms; usual is 1,010 ms.", evidence={"times_tolerance": 2.5},
    )  # fmt: skip
    return Incident("f" * 32, signal, 1_700_000_000, keys, keys)


def test_what_was_kept_comes_back_equal_and_goes_on_alike() -> None:
    service = Service({("a", "*"): Behaviour(scored=20), ("b", "*"): Behaviour()}).run(70)
    service.a.errors = 0.3
    service.run(3)
    kept = KeptWindows(7, service.windows, service.analysis)
    again = decode_windows(encode_windows(kept))
    assert encode_windows(again) == encode_windows(kept)
    assert again.windows == kept.windows and again.deadline_s == kept.deadline_s
    assert (
        [i.signal for i in again.analysis.incidents.open] == [i.signal for i in service.analysis.incidents.open] != []
    )


def test_bytes_of_before_the_analysis_are_still_read() -> None:
    assert decode_windows(msgspec.msgpack.encode((5, []))) == KeptWindows(5, type(Service().windows)())
