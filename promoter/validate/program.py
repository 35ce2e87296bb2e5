"""Programs of the caller's machine: where they are found, and the little that they get to know."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from promoter.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def search_path(environ: Mapping[str, str]) -> str:
    """The caller's PATH without its relative entries: these would name what stands in a repository."""
    entries = environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if Path(entry).is_absolute())


def find_program(name: str, environ: Mapping[str, str]) -> Path | None:
    """Where the program of this bare name is, by the caller's PATH; None where it is not."""
    if os.sep in name:
        return None  # which() would take it relative to the working directory
    # Where no entry is absolute, which() must not fall back on a PATH of its own.
    found = shutil.which(name, path=search_path(environ) or os.devnull)
    return Path(found) if found else None


def bare_environment(environ: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """An environment without tokens, whose home and temporary directory are empty ones in ``scratch``."""
    home, temporary = scratch / "home", scratch / "tmp"
    home.mkdir(exist_ok=True)
    temporary.mkdir(exist_ok=True)
    return {"PATH": search_path(environ), "LC_ALL": "C.UTF-8", "HOME": str(home), "TMPDIR": str(temporary)}


@contextlib.contextmanager
def scratch_directory(environ: Mapping[str, str]) -> Iterator[Path]:
    """A directory for the length of the block. Raises UnreachableError where none can be made."""
    parent = environ.get("TMPDIR") or None
    try:
        directory = tempfile.TemporaryDirectory(prefix="promoter-", dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise UnreachableError(
            f"no temporary directory can be made{f' in {parent}' if parent else ''}: {error.strerror}",
            next_step="free space or set TMPDIR to a directory that can be written",
            reason="machine",
        ) from None
    with directory as name:
        yield Path(name).resolve()
