"""The spill folder keeps what it took: over a kill, damage, a full disk and a fork; bounded, in order, with the same ids."""

import os
import random
from collections import deque
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from llm_optimizer_client.events import Record
from llm_optimizer_client.frames import MAGIC, frames, mark_frame, record_frame
from llm_optimizer_client.spill import Spill


def record(n: int, size: int = 20) -> Record:
    return Record("response" if n % 3 else "feedback", f"k{n}".encode(), f"{n}:".encode() + b"v" * size)


def drain(spill: Spill, most: int = 7) -> list[Record]:
    found: list[Record] = []
    while (taken := spill.take(most)) is not None:
        found += taken.records
        spill.settle(taken)
    return found


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed(spill: Spill) -> None:
    """What the end of a process does to its files: they are closed, nothing else."""
    spill._own.forget()
    for fd in spill._locks.values():
        os.close(fd)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spill"


def test_what_goes_in_comes_out_in_order_and_the_folder_is_empty_after(folder):
    spill = Spill(folder)
    sent = [record(n) for n in range(50)]
    assert all(map(spill.append, sent))
    assert (spill.waiting, drain(spill), spill.waiting) == (50, sent, 0)
    assert spill.size == 0
    spill.close()
    assert files(folder) == []


def test_what_a_killed_process_left_is_sent_by_the_next_with_the_same_bytes(folder):
    first = Spill(folder)
    sent = [record(n) for n in range(30)]
    assert all(map(first.append, sent))
    taken = first.take(10)
    assert taken is not None
    first.settle(taken)
    first.take(5)  # on their way, not settled: they may be sent twice, with the same ids
    killed(first)
    second = Spill(folder)
    assert second.append(record(99))
    assert second.waiting == 21
    assert drain(second) == [*sent[10:], record(99)]
    second.close()
    assert files(folder) == []


def test_what_is_left_at_a_close_is_sent_by_the_next(folder):
    first = Spill(folder)
    first.append(record(1))
    first.close()
    second = Spill(folder)
    assert drain(second) == [record(1)]


def test_two_processes_that_live_do_not_touch_each_others_files(folder):
    first, second = Spill(folder), Spill(folder)
    first.append(record(1))
    second.append(record(2))
    assert second.adopt() == 0
    assert (drain(first), drain(second)) == ([record(1)], [record(2)])


def test_a_process_that_lives_takes_over_from_one_that_died_later(folder):
    first, second = Spill(folder), Spill(folder)
    first.append(record(1))
    killed(first)
    assert (second.adopt(), second.adopt()) == (1, 0)
    assert drain(second) == [record(1)]


def test_it_says_no_when_it_is_full_and_yes_when_some_has_gone(folder):
    spill = Spill(folder, max_bytes=200_000)
    taken = 0
    while spill.append(record(taken, 1000)):
        taken += 1
    assert 180 <= taken <= 197
    assert spill.size <= 200_000
    some = spill.take(100)
    assert some is not None
    spill.settle(some)
    assert spill.append(record(taken, 1000))
    assert len(drain(spill)) == taken - 100 + 1


def test_what_was_taken_over_counts_for_the_bound(folder):
    first = Spill(folder, max_bytes=100_000)
    while first.append(record(1, 1000)):
        pass
    killed(first)
    second = Spill(folder, max_bytes=100_000)
    assert not second.append(record(2, 1000))
    drain(second)
    assert second.append(record(2, 1000))


def test_a_torn_tail_costs_only_the_torn_record(folder):
    first = Spill(folder)
    for n in range(5):
        first.append(record(n))
    killed(first)
    (segment,) = folder.glob("*.spill")
    segment.write_bytes(segment.read_bytes()[:-3])
    second = Spill(folder)
    assert drain(second) == [record(n) for n in range(4)]
    assert second.damaged > 0


def test_a_flipped_bit_costs_only_its_record(folder):
    first = Spill(folder)
    for n in range(5):
        first.append(record(n))
    killed(first)
    (segment,) = folder.glob("*.spill")
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 1
    segment.write_bytes(raw)
    assert drain(Spill(folder)) == [record(n) for n in (0, 1, 3, 4)]


def test_records_damaged_while_they_wait_are_written_off_and_counted(folder):
    spill = Spill(folder)
    for n in range(3):
        spill.append(record(n))
    (segment,) = folder.glob("*.spill")
    raw = bytearray(segment.read_bytes())
    raw[-1] ^= 1
    segment.write_bytes(raw)
    assert drain(spill) == [record(0), record(1)]
    assert (spill.waiting, spill.write_off(), spill.waiting) == (1, 1, 0)
    assert spill.append(record(9))
    assert drain(spill) == [record(9)]


def test_a_disk_without_room_leaves_no_half_record(folder, monkeypatch):
    spill = Spill(folder)
    spill.append(record(1))
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: real(fd, data[:5]))
        with pytest.raises(OSError, match="no space"):
            spill.append(record(2))
    spill.append(record(3))
    assert drain(spill) == [record(1), record(3)]


def test_a_forked_child_begins_anew_and_leaves_the_parents_files(folder):
    spill = Spill(folder)
    spill.append(record(1))
    child = os.fork()
    if child == 0:  # pragma: no cover  # in the child
        spill.after_fork()
        spill.append(record(2))
        ok = spill.waiting == 1 and drain(spill) == [record(2)]
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert drain(spill) == [record(1)]


@pytest.mark.parametrize(("fsync_s", "due"), [(0, 3), (1.0, 1), (None, 0)])
def test_the_disk_is_asked_to_keep_as_often_as_it_was_said(folder, monkeypatch, fsync_s, due):
    asked: list[int] = []
    monkeypatch.setattr(os, "fsync", asked.append)
    spill = Spill(folder, fsync_s=fsync_s)
    for n in range(3):
        spill.append(record(n))
    for now_s in (100.0, 100.5):
        spill.sync(now_s)
    assert len(asked) == due


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Spill(tmp_path / "file")


@given(st.lists(st.binary(max_size=40), max_size=8), st.binary(max_size=60), st.integers(0, 8))
def test_whatever_bytes_stand_between_frames_every_whole_frame_is_read(values, junk, place):
    written = [Record("response", b"k", value) for value in values if MAGIC not in value]
    parts = [record_frame(one) for one in written]
    parts.insert(min(place, len(parts)), junk.replace(b"\xff", b""))
    found = [frame.record for frame in frames(b"".join([*parts, mark_frame(3, 4)]), 0, more=False) if frame.record]
    assert found == written


@pytest.mark.simulation
@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(["put", "put", "put", "take", "kill", "close", "lose"]), max_size=30), st.integers(0, 9)
)
def test_after_any_story_every_accepted_record_was_taken_at_least_once_and_settled_ones_never_again(
    tmp_path_factory, steps, seed
):
    folder, random_, n = tmp_path_factory.mktemp("story"), random.Random(seed), 0
    spill = Spill(folder, max_bytes=80_000)
    waiting: deque[Record] = deque()
    for step in steps:
        if step == "put":
            n += 1
            if spill.append(record(n, random_.randrange(20_000))):
                waiting.append(record(n, 0))
        elif step in {"kill", "close"}:
            killed(spill) if step == "kill" else spill.close()
            spill = Spill(folder, max_bytes=80_000)
        elif (taken := spill.take(random_.randrange(1, 4))) is not None:
            if step == "lose":  # the process is killed between sending and settling
                killed(spill)
                spill = Spill(folder, max_bytes=80_000)
                continue
            expected = [waiting.popleft().key for _ in taken.records]
            assert [one.key for one in taken.records] == expected
            spill.settle(taken)
    assert [one.key for one in drain(spill)] == [one.key for one in waiting]
    spill.close()
    assert files(folder) == []
