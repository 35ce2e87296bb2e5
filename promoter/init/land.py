"""The proposed configuration, put where it belongs: into a directory, or on the base branch."""

from __future__ import annotations

import os
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from promoter.config import Config, Environment
from promoter.errors import ConfigError, UsageError
from promoter.git.repository import REGULAR, Entry
from promoter.init.propose import is_looked_at, propose
from promoter.outcome import Outcome
from promoter.publish.files import Asked, FileChange, land_files
from promoter.rules import CONFIG_FILE, Rules
from promoter.yamltext import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from promoter.git.repository import Snapshot
    from promoter.hands import Hands
    from promoter.options import BumpOptions
    from promoter.outcome import Proposed

# There is no configuration yet: all settings are promoter's own.
_NO_RULES = Rules(Config(MappingProxyType({})), Environment("", (".",)))
_BRANCH = "promoter/_init"
_SUBJECT = f"add {CONFIG_FILE}"
_TEXT = (
    "This file says where `promoter` finds images, and how they land. Please check the order and every path."
)


def in_repository(options: BumpOptions, hands: Hands) -> Outcome:
    """Land it on the base branch, as a commit or by pull request.

    Raises ConfigError where there is one already, or nothing to write into it, and as `land_files`.
    """
    repository = hands.repository
    found: dict[str, Proposed] = {}  # by the commit that was looked at

    def change(base: Snapshot, head: Snapshot | None) -> FileChange:  # noqa: ARG001 - the base alone decides
        if base.commit not in found:
            listed = repository.entries(base, ["."])
            if not options.dry_run and any(one.path == CONFIG_FILE for one in listed):
                raise _there_already(CONFIG_FILE)
            wanted = {one.path: one.blob for one in listed if one.is_regular and is_looked_at(one.path)}
            contents = dict(repository.read(wanted.values()))
            found.clear()
            found[base.commit] = propose({path: contents[blob] for path, blob in wanted.items()})
        content = found[base.commit].text.encode()
        return FileChange(
            _NO_RULES, {Entry(REGULAR, "", CONFIG_FILE): content}, _BRANCH, _SUBJECT, _TEXT, "equal"
        )

    outcome = land_files(hands, repository.latest(hands.base), Asked("init", options, change))
    return replace(outcome, proposed=next(iter(found.values())))


def in_directory(root: Path, *, dry_run: bool) -> Outcome:
    """Write it into a directory, which must be the root of the manifest repository.

    Raises UsageError for a directory that is none, ConfigError as `in_repository`.
    """
    file = root / CONFIG_FILE
    try:
        if not root.is_dir():
            raise UsageError(
                f"{root}: no such directory", next_step="give the manifest repository's directory"
            )
        _raise_if_inside(root)
        if not dry_run and os.path.lexists(file):
            raise _there_already(str(file))
        proposed = propose(dict(_contents(root)))
        if not dry_run:
            with file.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(proposed.text)
    except FileExistsError:
        raise _there_already(str(file)) from None
    except OSError as error:
        raise UsageError(
            f"{error.filename or root}: {error.strerror}", next_step="make it readable, or write elsewhere"
        ) from None
    status, reason = ("planned", "changed") if dry_run else ("unchanged", "written")
    return Outcome(verb="init", status=status, reason=reason, proposed=proposed)  # type: ignore[arg-type]  # one of the two


def _raise_if_inside(root: Path) -> None:
    """Paths in the configuration start at the repository's root."""
    whole = root.resolve()
    if (whole / ".git").exists():
        return
    above = next((one for one in whole.parents if (one / ".git").exists()), None)
    if above is not None:
        raise UsageError(
            f"{root} is a directory inside the repository {above}",
            next_step=f"the configuration stands at its root: promoter init {above}",
        )


def _contents(root: Path) -> Iterator[tuple[str, bytes]]:
    """The files that may tell something, by their paths; links are not followed."""

    def fail(error: OSError) -> None:
        raise error

    for directory, below, names in os.walk(root, onerror=fail):
        below[:] = sorted(name for name in below if name != ".git")
        for name in sorted(names):
            file = root.joinpath(directory, name)
            path = file.relative_to(root).as_posix()
            if is_looked_at(path) and file.is_file() and not file.is_symlink():
                with file.open("rb") as stream:
                    yield path, stream.read(MAX_BYTES + 1)


def _there_already(file: str) -> ConfigError:
    return ConfigError(
        "there is a configuration already, and init overwrites nothing",
        file=file,
        next_step="--dry-run prints what would be proposed; compare, or move the file away",
        reason="config-exists",
    )
