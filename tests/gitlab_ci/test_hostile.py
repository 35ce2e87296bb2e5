"""Inputs of somebody who means harm: nothing runs, nothing leaks, and each ends with a clear exit code.

gitlab-ci-local does not look at `regex`, which on GitLab refuses some of these before: so the scripts are
shown to stand alone.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.forges.stage_gitlab import TOKEN, gitlab_stage
from tests.support import repos
from tests.support.gitlab_ci_local import TEMPLATE, GitLabProject

JOB_TOKEN = "glcbt-canary-5f1e7d3b"
IMAGE = "registry.example.com/acme/api"
FILES = {
    ".promoter.yaml": "version: 1\n"
    "environments: {staging: {path: envs/staging}, production: {path: envs/production}}\n",
    "envs/staging/api.yaml": f"image: {IMAGE}:1.0.0\n",
    "envs/production/api.yaml": f"image: {IMAGE}:0.9.0\n",
}
GOOD = {"environment": "staging", "image": f"{IMAGE}:2.0.0", "from": "staging", "to": "production"}

# The input, its value ({0}: a file that must not come into being), and the exit code of the job.
HOSTILE = [
    ("image", IMAGE + ":$(touch {0})", 2),
    ("image", IMAGE + ":`touch {0}`", 2),
    ("image", IMAGE + ":'; touch {0}; '", 2),
    ("image", IMAGE + ':"; touch {0}; "', 2),
    ("image", IMAGE + ":2.0.0\ntouch {0}", 2),
    ("image", "--help", 2),
    ("image", IMAGE + ":$CI_JOB_TOKEN", 2),
    ("image", IMAGE + ":${PROMOTER_TOKEN}", 2),
    ("images", "$PROMOTER_TOKEN", 2),
    ("tag", "`touch {0}`", 2),
    ("environment", "'$(touch {0})'", 3),
    ("environment", "--env=production", 3),
    ("base", "--upload-pack=touch {0}", 2),
    ("base", "$CI_JOB_TOKEN", 2),
    ("config", "$(touch {0})", 3),
    ("manifest-repo", "ext::sh -c touch% {0}", 3),
    ("package", "--index-url=$(touch {0})", 2),
    ("package", "promoter;touch {0}", 9),
    ("version", "1.0; touch {0}", 9),
    ("requirements", "--index-url=$(touch {0})", 9),
    ("from", "--help", 3),
    ("to", "$(touch {0})", 3),
]


def test_hostile_inputs_run_nothing_leak_nothing_and_end_with_their_exit_codes(tmp_path: Path) -> None:
    """One pipeline with a job for each attack."""
    pwned = tmp_path / "pwned"
    jobs, included = {}, []
    with gitlab_stage(tmp_path) as stage:
        before = repos.commit_files(stage.git, FILES, "Environments")
        for number, (name, value, code) in enumerate(HOSTILE):
            prefix, verb = f"{name}-{number}", "promote" if name in ("from", "to") else "bump"
            jobs[f"{prefix}-{verb}"] = code
            inputs = {"manifest-repo": stage.url, **GOOD, name: value.replace("{0}", str(pwned))}
            included.append({"local": TEMPLATE, "inputs": {"job-prefix": prefix, verb: True, **inputs}})
        pipeline = yaml.safe_dump({"include": included})
        project = GitLabProject.make(tmp_path / "api", {".gitlab-ci.yml": pipeline})
        run = project.run(
            *jobs,
            variables={"PROMOTER_TOKEN": TOKEN, "CI_JOB_TOKEN": JOB_TOKEN},
            environ={"PIP_NO_INDEX": "1", "UV_OFFLINE": "1"},
        )
        assert run.exit_codes == jobs, run.log
        assert not pwned.exists()
        assert stage.pull_requests() == []
        assert repos.resolve(stage.git, "refs/heads/main") == before
    left = [text for job in jobs for text in run.artifacts(job).values()]
    for secret in (TOKEN, JOB_TOKEN):
        assert secret not in run.log
        assert not [text for text in left if secret in text]


MODULES = ("ensurepip", "os", "pip", "re", "sitecustomize", "sys", "venv")


def test_modules_of_the_checkout_are_not_run(tmp_path: Path) -> None:
    """With `git-strategy` a job begins in the checkout: neither is installing nor filling in done by it."""
    programs, sprung = tmp_path / "programs", tmp_path / "sprung"
    programs.mkdir()
    for name in ("node", "rsync", "git", "promoter"):
        found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert found is not None, name
        (programs / name).symlink_to(found)
    (programs / "python3").symlink_to(sys.executable)
    trap = f"open({str(sprung)!r}, 'a').write(__name__ + ' ')\n"
    files = {f"{module}.py": trap for module in MODULES}
    with gitlab_stage(tmp_path) as stage:
        repos.commit_files(stage.git, FILES, "Environments")
        inputs = {"manifest-repo": stage.url, **GOOD, "bump": True, "git-strategy": "fetch"}
        included = [
            {"local": TEMPLATE, "inputs": {**inputs, "job-prefix": "there"}},
            {"local": TEMPLATE, "inputs": {**inputs, "job-prefix": "absent", "package": "absent"}},
        ]
        pipeline = yaml.safe_dump({"include": included})
        project = GitLabProject.make(tmp_path / "api", {".gitlab-ci.yml": pipeline, **files})
        subprocess.run([sys.executable, "-c", "import re"], cwd=project.folder, check=False, timeout=60)
        assert sprung.read_text() == "re "  # it is one
        sprung.unlink()
        run = project.run(
            variables={"PROMOTER_TOKEN": TOKEN},
            path=(programs,),
            environ={"PATH": f"{programs}:/usr/bin:/bin", "PIP_NO_INDEX": "1"},
        )
        assert run.exit_codes == {"there-bump": 0, "absent-bump": 9}, run.log
        assert "No matching distribution found for absent" in run.log
    assert not sprung.exists(), sprung.read_text()
