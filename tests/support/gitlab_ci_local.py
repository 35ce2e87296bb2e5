"""Run pipelines as GitLab would, by gitlab-ci-local with its shell executor.

    project = GitLabProject.make(tmp_path / "api", {".gitlab-ci.yml": "include: …"})
    run = project.run("promoter-bump", variables={"PROMOTER_TOKEN": "glpat-…"})
    run.exit_codes["promoter-bump"], run.log, run.artifacts("promoter-bump")["promotion.json"]

A job gets the predefined variables that gitlab-ci-local makes, `variables` as CI/CD variables of the project,
and nothing of this machine's but `PATH`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import repos
from tests.support.cli import REPOSITORY
from tests.support.programs import need, npm_package

TEMPLATE = ".gitlab-ci-template.yml"
REMOTE = "https://gitlab.example.com/acme/api.git"  # of the project whose pipeline runs; nobody asks it
SECONDS = 90
_STATE = ".gitlab-ci-local"
_FAILED = re.compile(r"^(?P<job>\S+) +finished in .* (?:FAIL|WARN) (?P<code>\d+) *$", re.MULTILINE)
_PASSED = re.compile(r"^ PASS  (?P<job>\S+)", re.MULTILINE)


@dataclass(frozen=True)
class PipelineRun:
    """What one run left behind: `log` is all it printed, `exit_codes` are those of the jobs that ran."""

    code: int
    log: str
    folder: Path

    @property
    def exit_codes(self) -> dict[str, int]:
        passed = {found["job"]: 0 for found in _PASSED.finditer(self.log)}
        return passed | {found["job"]: int(found["code"]) for found in _FAILED.finditer(self.log)}

    def artifacts(self, job: str) -> dict[str, str]:
        """What the job left for others, as GitLab would upload it: file name -> text."""
        folder = self.folder / _STATE / "artifacts" / job
        return {file.name: file.read_text(encoding="utf-8") for file in folder.rglob("*") if file.is_file()}


@dataclass(frozen=True)
class GitLabProject:
    """A project's checkout; `home` holds its CI/CD variables, and is no part of it."""

    folder: Path
    home: Path

    @classmethod
    def make(cls, folder: Path, files: Mapping[str, str]) -> "GitLabProject":
        """A project with one commit, of these files and the template."""
        need("rsync", "rsync")
        need("nodejs", "node")
        template = (REPOSITORY / TEMPLATE).read_text(encoding="utf-8")
        bare = repos.make_repo(folder.with_name(f"{folder.name}.git"), {**files, TEMPLATE: template})
        repos.git(folder.parent, "clone", "--quiet", str(bare), str(folder))
        repos.git(folder, "remote", "set-url", "origin", REMOTE)
        home = folder.with_name(f"{folder.name}-home")
        home.mkdir()
        return cls(folder, home)

    def run(
        self,
        *jobs: str,
        variables: Mapping[str, str] | None = None,
        predefined: Mapping[str, str] | None = None,
        path: Sequence[Path] = (Path(sys.executable).parent,),
        environ: Mapping[str, str] | None = None,
        isolated: bool = True,
    ) -> PipelineRun:
        """Run these jobs, or the whole pipeline.

        `predefined` replaces what GitLab itself says. `path` is where `promoter` is, before this machine's
        PATH. An isolated job works on a copy of the checkout, without its history.
        """
        options = ["--shell-isolation"] if isolated else []
        options += _given({"GITLAB_CI": "true", **(predefined or {})})
        done = self._call(*jobs, *options, variables=variables or {}, path=path, environ=environ or {})
        return PipelineRun(done.returncode, done.stdout, self.folder)

    def jobs(self, predefined: Mapping[str, str] | None = None) -> dict[str, str]:
        """The jobs that a pipeline would have, and when each would run ("never": not at all)."""
        done = self._call("--list-json", *_given(predefined or {}), variables={}, path=(), environ={})
        listed: Any = json.loads(done.stdout[done.stdout.index("[\n") :] if done.returncode == 0 else "[]")
        assert listed, done.stdout
        return {one["name"]: one["when"] for one in listed}

    def _call(
        self, *arguments: str, variables: Mapping[str, str], path: Sequence[Path], environ: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        settings = self.home / ".gitlab-ci-local"
        settings.mkdir(exist_ok=True)
        # JSON is YAML; a file keeps secrets out of the command line.
        (settings / "variables.yml").write_text(json.dumps({"global": dict(variables)}), encoding="utf-8")
        program = npm_package("gitlab-ci-local") / "dist" / "index.js"
        fixed = ("--shell-executor-no-image", "--force-shell-executor", "--no-color")
        return subprocess.run(
            [str(shutil.which("node")), str(program), *fixed, "--home", str(self.home), *arguments],
            env={
                "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
                "HOME": str(self.home),
                "GIT_CONFIG_NOSYSTEM": "1",
                **environ,
            },
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )


def _given(variables: Mapping[str, str]) -> list[str]:
    return [item for name, value in variables.items() for item in ("--variable", f"{name}={value}")]
