"""The lock of a log, which whoever writes it holds; who only looks whether somebody does need load little for that."""

from pathlib import Path


def lock_of(path: Path) -> Path:
    """Return the file that is locked while a log at a path is written."""
    return path.with_suffix(".lock")


def being_written(path: Path) -> bool:
    """Return whether a process is writing the log at a path now; a dead one keeps no lock."""
    if not lock_of(path).exists():
        return False
    from filelock import FileLock, Timeout  # noqa: PLC0415 - loads asyncio, for which most who read logs have no use

    try:
        with FileLock(lock_of(path), timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that may only be read: nobody writes there, either
        return False
