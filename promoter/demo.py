"""The whole story on a throw-away local repository: real commands, real Git, real processes.

Each scene is a sentence, the command line as a person would type it, and what it printed.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promoter.deadline import Deadline
from promoter.errors import PromoterError
from promoter.git import door

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_REPOSITORY = "deploy.git"
_RACERS = 8
_SECONDS = 60.0

_CONFIGURATION = """\
version: 1
environments:
  staging:    {path: envs/staging}
  qa:         {path: envs/qa}
  production: {path: envs/production}
targets:
  - {file: "envs/production/{app}.tag", tag: image_tag, image: "ghcr.io/acme/{app}"}
"""
_KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../../base
images:
  - name: ghcr.io/acme/api        # the front door
    newTag: 1.4.2
"""
_VALUES = """\
# qa: one values file for the chart
api:
  image:
    registry: ghcr.io
    repository: acme/api
    tag: "1.4.1"   # keep in quotes
    pullPolicy: IfNotPresent
"""


@dataclass(frozen=True)
class Scene:
    """One step of the story and the exit code that it ends with."""

    says: str
    arguments: tuple[str, ...]
    expected: int = 0


def _bump(environment: str, image: str) -> tuple[str, ...]:
    return ("bump", "--manifest-repo", _REPOSITORY, "--env", environment, "--image", image)


SCENES = (
    Scene(
        "A build is done: bump staging, which is a kustomization.", _bump("staging", "ghcr.io/acme/api:1.4.3")
    ),
    Scene("The same job runs again: nothing to do.", _bump("staging", "ghcr.io/acme/api:1.4.3")),
    Scene(
        "An older build arrives late: it must not go backwards.", _bump("staging", "ghcr.io/acme/api:1.4.2")
    ),
    Scene("The same image in qa, which is a Helm values file.", _bump("qa", "ghcr.io/acme/api:1.4.3")),
    Scene(
        "And in production, which is one tag file for each app.",
        _bump("production", "ghcr.io/acme/api:1.4.3"),
    ),
    Scene(
        "A tag that no registry accepts is refused before anything is read.",
        _bump("qa", "ghcr.io/acme/api:-x"),
        2,
    ),
)


def run_demo(say: Callable[[str], None]) -> None:
    """Tell the story through ``say``. Raises PromoterError where a scene ends otherwise than it should."""
    with tempfile.TemporaryDirectory(prefix="promoter-demo-") as name:
        directory = Path(name)
        _build_repository(directory)
        for number, scene in enumerate(SCENES, start=1):
            say(f"\n{number}. {scene.says}")
            _play(scene, directory, say)
        say(f"\n{len(SCENES) + 1}. {_RACERS} pipelines finish at the same moment and edit one file.")
        _race(directory, say)
        say("\nThat was the real program on a real repository. Next: README.md has a CI job in ten lines.")


def _play(scene: Scene, directory: Path, say: Callable[[str], None]) -> None:
    say("$ " + shlex.join(["promoter", *scene.arguments]))
    ended = _promoter(scene.arguments, directory)
    say((ended.text + "\n" + ended.errors).strip())
    if ended.code != scene.expected:
        raise PromoterError(f"the demo expected exit code {scene.expected} here and saw {ended.code}")


def _race(directory: Path, say: Callable[[str], None]) -> None:
    """All racers start at once and edit adjacent lines; each lands one commit."""
    racers = [_bump("staging", f"ghcr.io/acme/app-{n}:2.0.{n}") for n in range(_RACERS)]
    say(
        "$ "
        + shlex.join(["promoter", *racers[0]])
        + f"     (and {_RACERS - 1} more, app-1 … app-{_RACERS - 1})"
    )
    with ThreadPoolExecutor(_RACERS) as pool:
        ended = list(pool.map(lambda arguments: _promoter(arguments, directory), racers))
    log = _git(directory, "--git-dir", _REPOSITORY, "log", "--format=%h %s", f"-{_RACERS}", "main").text
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
    """A bare repository with three environments in three formats."""
    entries = "".join(f"  - name: ghcr.io/acme/app-{n}\n    newTag: 1.0.{n}\n" for n in range(_RACERS))
    files = {
        ".promoter.yaml": _CONFIGURATION,
        "envs/staging/kustomization.yaml": _KUSTOMIZATION + entries,
        "envs/qa/values.yaml": _VALUES,
        "envs/production/api.tag": "image_tag: 1.4.0\n",
    }
    _git(directory, "init", "--quiet", "--bare", "--initial-branch=main", _REPOSITORY)
    stream = b"commit refs/heads/main\ncommitter demo <demo@example.invalid> 1767225600 +0000\n"
    stream += b"data 15\nfirst manifests\n"
    for path, text in files.items():
        content = text.encode()
        stream += f"M 644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n"
    _git(directory, "--git-dir", _REPOSITORY, "fast-import", "--quiet", stdin=stream)
