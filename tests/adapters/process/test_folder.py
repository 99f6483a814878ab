"""A folder that cannot be written is named at the start."""

from pathlib import Path

import pytest

from app.adapters.process.folder import FolderError, is_unusable, make_usable


def test_a_missing_folder_is_made_and_left_empty(tmp_path: Path):
    make_usable(tmp_path / "a" / "b", "state.dir")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named_with_the_setting_to_change(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match=r"cannot write to the folder .*file/state .*state\.dir.*Nothing is lost"):
        make_usable(tmp_path / "file" / "state", "state.dir")


def test_a_full_disk_is_told_from_other_errors(tmp_path: Path):
    with pytest.raises(OSError, match="space") as full, Path("/dev/full").open("wb", buffering=0) as device:
        device.write(b"x")
    assert is_unusable(full.value)
    assert not is_unusable(ConnectionRefusedError(111, "refused"))
    assert not is_unusable(None)
