"""action.yml and the example workflows for GitHub, as GitHub's schema, actionlint and zizmor see them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.programs import leave_out, program

ROOT = Path(__file__).resolve().parents[1]
ACTION = ROOT / "action.yml"
FOLDER = ROOT / "examples" / "github"
WORKFLOWS = sorted(path for path in FOLDER.glob("*.yml") if path.name != "zizmor.yml")  # zizmor's settings
IDS = [path.name for path in WORKFLOWS]
OURS = "promoter-ci/promoter"


def check(*command: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_schemas() -> None:
    checker = (sys.executable, "-m", "check_jsonschema", "--builtin-schema")
    check(*checker, "vendor.github-actions", ACTION)
    check(*checker, "vendor.github-workflows", *WORKFLOWS)


def test_actionlint() -> None:
    check(program("actionlint"), "-no-color", *WORKFLOWS)


def test_zizmor() -> None:
    zizmor = Path(sys.executable).parent / "zizmor"
    if not zizmor.exists():
        leave_out("zizmor absent: PyPI has none for this machine")
    settings = ("--config", FOLDER / "zizmor.yml")
    check(zizmor, "--offline", "--quiet", "--no-progress", *settings, ACTION, *WORKFLOWS)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=IDS)
def test_others_are_pinned_by_commit_and_say_their_version(workflow: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", workflow.read_text(encoding="utf-8"))
    assert used
    others = [(name, note) for name, note in used if not name.startswith(f"{OURS}@")]
    assert [one for one in others if not re.search(r"@[0-9a-f]{40}$", one[0])] == []
    assert [one for one in others if not re.fullmatch(r" # v\d+\.\d+\.\d+", one[1])] == []


def test_the_documentation_gives_inputs_that_there_are() -> None:
    known = set(yaml.safe_load(ACTION.read_text(encoding="utf-8"))["inputs"])
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    texts = [
        text
        for page in pages
        for text in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    ]
    given = [re.findall(rf"uses: {OURS}@.*?\n +with:\n((?: +\S+: .*\n)+)", text) for text in texts]
    blocks = [set(re.findall(r"^ +([\w-]+):", block, re.MULTILINE)) for found in given for block in found]
    assert {"manifest-repo", "image"} <= set().union(*blocks)
    assert [block - known for block in blocks if not block <= known] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=IDS)
def test_examples_give_inputs_and_read_outputs_that_there_are(workflow: Path) -> None:
    """The runner only warns of an unknown input, and an unknown output is empty."""
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    ours = [step for step in steps(workflow) if step.get("uses", "").startswith(OURS)]
    assert ours
    for step in ours:
        assert set(step["with"]) <= set(action["inputs"])
        read = re.findall(
            rf"steps\.{step.get('id', '-')}\.outputs\.([\w-]+)", workflow.read_text(encoding="utf-8")
        )
        assert set(read) <= set(action["outputs"])
