"""Our own workflows: clean by the linters, pinned, and without a permission that they do not need."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.programs import program

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NAMES = [path.name for path in WORKFLOWS]


def run(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def workflow(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text("utf-8"))
    return found


def test_both_are_there() -> None:
    assert NAMES == ["ci.yml", "release.yml"]


def test_actionlint() -> None:
    run(program("actionlint"), *WORKFLOWS)


def test_zizmor() -> None:
    run(Path(sys.executable).with_name("zizmor"), "--offline", "--pedantic", *WORKFLOWS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=NAMES)
def test_the_published_schema(path: Path) -> None:
    run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=NAMES)
def test_actions_are_pinned_with_their_version_beside(path: Path) -> None:
    used = re.findall(r"uses: (?!\./)(.*)", path.read_text(encoding="utf-8"))
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=NAMES)
def test_an_ignored_finding_has_its_reason(path: Path) -> None:
    ignored = re.findall(r"zizmor: ignore\[[\w-]+\](.*)", path.read_text(encoding="utf-8"))
    assert [reason for reason in ignored if len(reason.split()) < 3] == []


def test_one_job_writes_and_one_job_publishes() -> None:
    """What runs code of ours or of a dependency can neither write here nor sign nor publish."""
    jobs = workflow("release.yml")["jobs"]
    assert workflow("release.yml")["permissions"] == workflow("ci.yml")["permissions"] == {}
    rights = {name: set(job["permissions"].items()) for name, job in jobs.items()}
    assert [name for name, has in rights.items() if ("contents", "write") in has] == ["github"]
    for name, job in jobs.items():
        writes = {key for key, level in rights[name] if level == "write"}
        uses = [step.get("uses", "") for step in job.get("steps", [])]
        if writes:
            assert not any(one.startswith(("actions/checkout", "actions/setup-")) for one in uses), name
            assert not any("pip" in step.get("run", "") for step in job["steps"]), name


def test_nothing_of_a_release_comes_from_a_cache() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert not re.search(r"actions/cache|\bcache:", text)
    assert text.count("actions/checkout@") == text.count("persist-credentials: false") == 1
