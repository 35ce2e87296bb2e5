"""The whole story on a throw-away local repository: real commands, real Git, real processes.

Each scene is a sentence, the command line as a person would type it, and what it printed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from promoter.deadline import Deadline
from promoter.demo_story import REPOSITORY, SCENES, Scene, bump_of, manifests
from promoter.errors import PromoterError
from promoter.git import door

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_RACERS = 8
_SECONDS = 60.0
_MAIL = "demo@example.invalid"


@dataclass(frozen=True)
class _Stage:
    """Where the story plays; ``said`` is what the last run printed."""

    directory: Path
    say: Callable[[str], None]
    said: str = ""


def run_demo(say: Callable[[str], None]) -> None:
    """Tell the story through ``say``. Raises PromoterError where a scene ends otherwise than it should."""
    with tempfile.TemporaryDirectory(prefix="promoter-demo-") as name:
        stage = _Stage(Path(name), say)
        _build_repository(stage.directory)
        for number, scene in enumerate(SCENES, start=1):
            say(f"\n{number}. {scene.says}")
            if scene.needs and not any(map(shutil.which, scene.needs)):
                say(f"({' or '.join(scene.needs)} is not on PATH: left out)")
                continue
            stage = _play(scene, stage)
        say(f"\n{len(SCENES) + 1}. {_RACERS} pipelines finish at the same moment and edit one file.")
        _race(stage)
        say("\nThat was the real program on a real repository. Next: README.md has a CI job in ten lines.")


def _play(scene: Scene, stage: _Stage) -> _Stage:
    if scene.commits is not None:
        _commit(stage.directory, scene.commits, "freeze qa")
    if scene.merges:
        _merge(stage)
    into = f" > {scene.into}" if scene.into is not None else ""
    stage.say("$ " + shlex.join(["promoter", *scene.arguments]) + into)
    ended = _promoter(scene.arguments, stage.directory)
    said = (ended.text + "\n" + ended.errors).strip()
    stage.say(said if scene.into is None else f"({scene.into}: {len(ended.output) // 1024} KB, one file)")
    if ended.code != scene.expected or scene.shows not in said:
        raise PromoterError(
            f"the demo expected exit code {scene.expected} and {scene.shows!r} here, and saw {ended.code}"
        )
    return replace(stage, said=said)


def _merge(stage: _Stage) -> None:
    """Merge by the very line that the last run printed for people, in a clone of somebody's."""
    line = re.search(r"merge it with: (.+)", stage.said)
    if line is None:
        raise PromoterError("the demo expected to be told how to merge")
    clone = stage.directory / "clone"
    _git(stage.directory, "clone", "--quiet", REPOSITORY, str(clone))
    stage.say(f"$ {line[1]}")
    merged = door.run(
        ("sh", "-c", line[1]),
        directory=clone,
        environment=door.child_environment(os.environ, {"user.name": "demo", "user.email": _MAIL}),
        deadline=Deadline(_SECONDS),
    )
    if merged.code != 0:
        raise PromoterError(f"the demo's merge failed: {merged.errors.strip()}")


def _race(stage: _Stage) -> None:
    """All racers start at once and edit adjacent lines; each lands one commit."""
    say, directory = stage.say, stage.directory
    racers = [bump_of("staging", f"ghcr.io/acme/app-{n}:2.0.{n}") for n in range(_RACERS)]
    say(
        "$ "
        + shlex.join(["promoter", *racers[0]])
        + f"     (and {_RACERS - 1} more, app-1 … app-{_RACERS - 1})"
    )
    with ThreadPoolExecutor(_RACERS) as pool:
        ended = list(pool.map(lambda arguments: _promoter(arguments, directory), racers))
    log = _git(directory, "--git-dir", REPOSITORY, "log", "--format=%h %s", f"-{_RACERS}", "main").text
    say(log)
    landed = sum(f"app-{n} to 2.0.{n}" in log for n in range(_RACERS))
    say(f"{landed} of {_RACERS} landed, each exactly once, none by a text merge")
    if landed != _RACERS or any(one.code for one in ended):
        raise PromoterError("the demo's race lost an update")


def _promoter(arguments: Sequence[str], directory: Path) -> door.Completed:
    # The story is the same inside a CI job: only what a program needs to start is handed on.
    environment = {name: os.environ[name] for name in ("PATH", "TMPDIR", "PYTHONPATH") if name in os.environ}
    return door.run(
        (sys.executable, "-m", "promoter", *arguments),
        directory=directory,
        environment=environment | {"LC_ALL": "C.UTF-8"},
        deadline=Deadline(_SECONDS),
    )


def _git(directory: Path, *arguments: str, stdin: bytes | None = None) -> door.Completed:
    environment = door.child_environment(os.environ, {})
    git = door.Git(directory, environment, Deadline(_SECONDS), debug=lambda _: None)
    return git.must(*arguments, stdin=stdin)


def _build_repository(directory: Path) -> None:
    """A bare repository with the story's manifests."""
    _git(directory, "init", "--quiet", "--bare", "--initial-branch=main", REPOSITORY)
    _commit(directory, manifests(_RACERS), "first manifests")


def _commit(directory: Path, files: Mapping[str, str], subject: str) -> None:
    """A commit on main, on top of what is there, as somebody's push would leave it."""
    git_dir = ("--git-dir", REPOSITORY)
    tip = _git(directory, *git_dir, "for-each-ref", "--format=%(objectname)", "refs/heads/main").text
    stream = f"commit refs/heads/main\ncommitter demo <{_MAIL}> 1767225600 +0000\n".encode()
    stream += f"data {len(subject)}\n{subject}\n".encode()
    stream += f"from {tip}\n".encode() if tip else b""
    for path, text in files.items():
        content = text.encode()
        stream += f"M 644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n"
    _git(directory, *git_dir, "fast-import", "--quiet", stdin=stream)
