"""Inputs that try to be more than data."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.action.conftest import IMAGE, GitHub, kustomization
from tests.action.test_act import failing
from tests.support.act import ROOT, ActRun, path_without_uv, wheels

SHELL = "-x\"'$(touch pwned)`touch pwned`;touch pwned&&touch pwned|touch pwned #é\u202e\\"
COMMANDS = (
    "::set-output name=pwned::1\n##[set-output name=pwned]1\n::add-path::/pwned\n::error::pwned\n"
    "::add-mask::kustomization\n%0A::set-output name=pwned::1\r::set-output name=pwned::1\n--help\n"
)
EXPRESSION = "${{ secrets.DEPLOY_TOKEN }}"
PAYLOADS = {"SHELL": SHELL, "LINES": f"{SHELL}\n{COMMANDS}", "EXPRESSION": EXPRESSION}
INPUTS = tuple(yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"])
# What the scripts of the action read themselves, and what ends up furthest inside the program.
OF_SCRIPTS = ("command", "version", "cache", "working-directory", "output-file")
ALONE = (
    *OF_SCRIPTS,
    *("report-dir", "manifest-repo", "image", "images", "environment", "base", "config", "app"),
    *("override", "publish", "token"),
)
VERBS = (
    "promote",
    "rollback",
    "sync",
    "hold",
    "unhold",
    "status",
    "diff",
    "history",
    "scan",
    "validate",
    "doctor",
)
DOCUMENTED = {2, 3, 4, 5, 6, 7, 8, 9}


def hostile(github: GitHub, payload: str, *names: str) -> dict[str, Any]:
    step = github.step(environment="staging", image=f"{IMAGE}:1.1.0", dry_run="true")
    step["with"] |= dict.fromkeys(names, f"${{{{ env.{payload} }}}}")
    return failing(step, id=f"{payload}-{names[0]}")


def assert_data(run: ActRun, github: GitHub) -> None:
    """Nothing was run, nothing injected, nothing landed, and each failure has its exit code."""
    assert ".complete" in run.names  # which are those of the whole job
    assert "pwned" not in run.names
    assert [step for step, left in run.steps.items() if "pwned" in left["outputs"]] == []
    assert not re.search(r"⚙ +::(set-output|add-path|set-env)::\s+(name=)?/?pwned", run.log)
    assert "❗  ::error::pwned" not in run.log
    # GitHub's own runner takes this form anywhere in a line, unless that is a command of the other form.
    printed = [line for line in run.log.splitlines() if "]   | " in line]
    assert not any("##[set-output" in line for line in printed)
    assert {int(code) for code in re.findall(r"exit status (\d+)", run.log)} <= DOCUMENTED
    assert "Traceback" not in run.log
    assert "unbound variable" not in run.log
    assert github.read() == kustomization("1.0.0")


def test_an_input_is_data(github: GitHub) -> None:
    steps = [hostile(github, "LINES", name) for name in ALONE]
    run = github.run(*steps, {"run": "echo still a kustomization"}, env=PAYLOADS)
    assert_data(run, github)
    assert "still a kustomization" in run.log  # no input had it masked
    refused = {step for step, left in run.steps.items() if left["outcome"] == "failure"}
    assert refused >= {
        f"LINES-{name}" for name in ("command", "image", "environment", "version", "base", "publish")
    }


def test_all_inputs_at_once_are_data(github: GitHub) -> None:
    others = [name for name in INPUTS if name not in OF_SCRIPTS]
    steps = [hostile(github, payload, *others) for payload in PAYLOADS]
    for verb in VERBS:
        step = hostile(github, "LINES", *others)
        steps.append({**step, "id": verb, "with": step["with"] | {"command": verb}})
    run = github.run(*steps, env=PAYLOADS)
    assert_data(run, github)
    assert all(left["outcome"] == "failure" for step, left in run.steps.items() if not step.isdigit())


def test_modules_of_the_workspace_are_not_run(tmp_path: Path) -> None:
    """A step's working directory is the workspace: what a pull request put there is no part of Python."""
    workspace, sprung = tmp_path / "workspace", tmp_path / "sprung"
    workspace.mkdir()
    for module in ("hashlib", "pip", "platform", "sitecustomize", "venv"):
        (workspace / f"{module}.py").write_text(f"open({str(sprung)!r}, 'w').close()\n")
    trap = [sys.executable, "-c", "import hashlib"]
    subprocess.run(trap, cwd=workspace, check=True, timeout=60)
    assert sprung.exists()  # it is one
    sprung.unlink()
    env = {
        "PATH": path_without_uv(tmp_path),
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "RUNNER_TEMP": str(tmp_path),
        "RUNNER_OS": "Linux",
        "VERSION": "",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels()),
    }
    for script in ("plan.sh", "install.sh"):
        done = subprocess.run(
            ["bash", str(ROOT / ".github" / "actions" / script)],
            cwd=workspace,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not sprung.exists(), script
        told = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
        env |= {"PYTHON": told["python"], "FOLDER": told["folder"]}
    assert (Path(env["FOLDER"]) / ".complete").exists()
