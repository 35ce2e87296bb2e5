"""In every layout that a case shows, stepping through versions of files equals looking at each state anew."""

import random
import re
from pathlib import Path

import pytest

from promoter.config import Config, config_for_paths, parse_config
from promoter.discover.extent import Extent
from promoter.inventory import effective, grouped
from promoter.past.at_commit import AtCommit, Key
from tests.support.cli import REPOSITORY

CASES = REPOSITORY / "tests" / "cases"
STEPS = 20
TAG = re.compile(rb"(?<=[:@\s\"'=])v?\d+\.\d+(?:\.\d+)?(?:-[a-z]+)?(?=[\s\"'}@,]|\Z)")
SHA = re.compile(rb"sha256:[0-9a-f]{64}")

Files = dict[str, bytes]


def files_of(case: Path) -> Files:
    root = case / "before"
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def config_of(files: Files) -> Config | None:
    text = files.get(".promoter.yaml")
    if text is None:
        return config_for_paths(["."])
    try:
        return parse_config(text.decode(), ".promoter.yaml", version="1.0")
    except Exception:  # noqa: BLE001 - a case of a wrong configuration is no layout
        return None


def changed(files: Files, first: Files, chance: random.Random) -> dict[str, bytes | None]:
    """Some files with other tags or digests, without one of their lines, gone, or as they were."""
    found: dict[str, bytes | None] = {}
    for path in chance.sample(sorted(first), min(len(first), chance.choice([1, 1, 2]))):
        content, what = files.get(path, first[path]), chance.random()
        lines = content.splitlines(keepends=True)
        if what < 0.55:
            tag, digest = b"%d.%d" % (chance.randrange(9), chance.randrange(20)), chance.getrandbits(256)
            content = SHA.sub(b"sha256:%064x" % digest, TAG.sub(tag, content, count=chance.choice([0, 1])))
        elif what < 0.7 and lines:
            del lines[chance.randrange(len(lines))]
            content = b"".join(lines)
        elif what < 0.85:
            content = first[path]
        found[path] = content if what < 0.93 else None
    return found


def anew(files: Files, extent: Extent) -> dict[tuple[str, Key], set[tuple[str | None, str | None]]]:
    held: dict[tuple[str, Key], set[tuple[str | None, str | None]]] = {}
    read = {path: content for path, content in files.items() if extent.is_read(path)}
    for one in grouped(effective(read, extent), extent):
        if one.image.tag or one.image.digest:
            held.setdefault((one.app, one.image.key), set()).add((one.image.tag, one.image.digest))
    return held


@pytest.mark.parametrize("initial", "abcdefghijklmnopqrstuvwxyz")
def test_stepping_equals_looking_anew(initial: str) -> None:
    for case in sorted(CASES.glob(f"{initial}*")):
        first = files_of(case)
        config = config_of(first)
        if config is None:
            continue
        for environment in config.environments.values():
            extent, chance = Extent(config, environment), random.Random(case.name)
            files: Files = {}
            state = AtCommit(extent)
            steps: dict[str, bytes | None] = dict(first)
            for number in range(STEPS):
                files = {path: text for path, text in (files | steps).items() if text is not None}
                before, after, names = state.step(
                    {path: text for path, text in steps.items() if extent.is_read(path)}
                )
                held = {place: set(versions) for place, versions in state.held(state.images).items()}
                assert held == anew(files, extent), (case.name, number, steps)
                assert {key for _, key in before.keys() | after.keys()} <= names.keys()
                steps = changed(files, first, chance)
