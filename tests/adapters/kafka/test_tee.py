from pathlib import Path

from app.adapters.kafka.tee import Frame, Tee, frames
from tests.adapters.kafka.worlds import batch


def test_what_is_written_is_read_in_order(tmp_path: Path):
    tee = Tee(tmp_path / "deep" / "facts")
    tee.write(batch(0, 2, "facts-1", append_ms=7))
    tee.write(batch(5, 1, "facts-0", append_ms=8))
    tee.close()
    assert list(frames(tmp_path / "deep" / "facts")) == [
        Frame(1, 0, 7, b"v"), Frame(1, 1, 7, b"v"), Frame(0, 5, 8, b"v"),
    ]  # fmt: skip


def test_what_a_restart_folds_again_is_read_once(tmp_path: Path):
    for first in (0, 1):
        tee = Tee(tmp_path / "facts")
        tee.write(batch(first, 3, "facts-0"))
        tee.close()
    assert [frame.offset for frame in frames(tmp_path / "facts")] == [0, 1, 2, 3]


def test_a_frame_torn_by_a_crash_is_left_out_at_every_length(tmp_path: Path):
    path = tmp_path / "facts"
    tee = Tee(path)
    tee.write(batch(0, 2, "facts-0"))
    tee.close()
    whole = path.read_bytes()
    for length in range(len(whole) // 2, len(whole)):
        path.write_bytes(whole[:length])
        assert [frame.offset for frame in frames(path)] == [0]
