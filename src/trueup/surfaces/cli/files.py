"""The files that commands write: never in the place of something else, and there whole or not at all."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISBLK, S_ISDIR, S_ISREG
from typing import TextIO

from trueup.core.errors import ConfigurationError

_NAME_ANOTHER = "Name another with --out."


def require_target(out: Path, own: Iterable[Path], replaceable: Callable[[Path], bool] = lambda _: True) -> None:
    """Refuse a file that cannot be written, before long work: ConfigurationError says why.

    `own` are the files of the set-up, which nothing overwrites; `replaceable` says whether an existing file that is
    not empty may be.
    """
    with _told(out):
        found = out.stat() if out.exists() else None
        if any(_same(out, file) for file in own):
            raise ConfigurationError(
                f"{out} belongs to trueup's own set-up; nothing is written over it.", _NAME_ANOTHER
            )
        if found is not None and (S_ISDIR(found.st_mode) or S_ISBLK(found.st_mode)):
            kind = "a folder" if S_ISDIR(found.st_mode) else "a device"
            raise ConfigurationError(f"{out} is {kind}.", "Name a file with --out.")
        if found is not None and S_ISREG(found.st_mode) and found.st_size and not replaceable(out):
            raise ConfigurationError(f"{out} is there already and holds something else.", _NAME_ANOTHER)
        if found is None or S_ISREG(found.st_mode):
            draft = _draft(out)
            draft.unlink()


@contextmanager
def target(out: Path | None) -> Iterator[TextIO]:
    """Give stdout, or a file that takes its name only when it is complete.

    A new file is for its owner alone; one that is replaced keeps its rights.
    """
    if out is None:
        yield sys.stdout
        return
    whole = not out.exists() or out.is_file()
    with _told(out):
        draft = _draft(out) if whole else out
    try:
        with _told(out):
            with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
                yield stream
                stream.flush()
                if whole:
                    os.fsync(stream.fileno())
            if whole:
                if out.exists():
                    draft.chmod(out.stat().st_mode & 0o7777)
                draft.replace(os.path.realpath(out))
    finally:
        if whole:
            draft.unlink(missing_ok=True)


def _draft(out: Path) -> Path:
    """Make an empty file beside the one that is meant, with a name of its own."""
    place = Path(os.path.realpath(out))
    handle, name = tempfile.mkstemp(prefix=f".{place.name[:50]}.", suffix=".part", dir=place.parent)
    os.close(handle)
    return Path(name)


def _same(one: Path, other: Path) -> bool:
    """Say whether two paths mean one file, be it there or not, by whatever name."""
    with suppress(OSError):
        if one.samefile(other):
            return True
    return os.path.realpath(one) == os.path.realpath(other)


@contextmanager
def _told(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written: {error.strerror}.", _NAME_ANOTHER) from None
