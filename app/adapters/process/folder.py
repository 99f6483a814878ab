"""The folder a worker writes to: usable, or a clear word at the start and exit code 78 (a person must mend it)."""

import errno
from pathlib import Path

EXIT_FOLDER = 78
"""Exit code (EX_CONFIG of sysexits.h): a folder cannot be written. Starting again would not help."""

_UNUSABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EIO})


class FolderError(RuntimeError):
    """A folder or file cannot be written; the message names it, why, and what to do."""


def make_usable(folder: Path, setting: str) -> None:
    """Make ``folder`` when it is missing, and write to it once. Raises ``FolderError``."""
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x")
        probe.unlink(missing_ok=True)  # another agent of this worker may have been faster
    except OSError as error:
        raise FolderError(
            f"cannot write to the folder {folder} ({error.strerror}): free it, or set {setting} to another. "
            "Nothing is lost: everything a worker needs to go on is in Kafka"
        ) from error


def is_unusable(error: BaseException | None) -> bool:
    """Whether ``error`` says that a disk is full, read-only or forbidden."""
    return isinstance(error, FolderError) or (isinstance(error, OSError) and error.errno in _UNUSABLE)
